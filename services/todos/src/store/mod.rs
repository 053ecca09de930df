//! Where todos, tags and the feed of their changes are kept: a trait for each, two databases.
//!
//! `queries/` has a file for each trait, compiled once per database by `postgres.rs` and
//! `sqlite.rs`; statements that differ stand in the folders `postgres/` and `sqlite/`.

mod entries;
mod feed;
mod feed_notifier;
mod list;
mod postgres;
mod snapshot;
mod sqlite;
mod tagged;
mod tags;
mod todos;
mod transfer;
mod user_lifecycle;

use quartet_messaging::Publisher;
use quartet_rpc::host::StartError;
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;

pub use feed::Feed;
pub use feed_notifier::{FeedNotifier, Follower};
pub use tags::Tags;
pub use todos::Todos;
pub use transfer::Transfer;
pub use user_lifecycle::UserLifecycle;

use list::search_key;

use crate::Config;

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// All that the service keeps.
pub trait Store: Todos + Tags + Feed + UserLifecycle + Transfer {}

impl<T: Todos + Tags + Feed + UserLifecycle + Transfer> Store for T {}

/// Opens the database that `config` names and migrates it if the settings say so.
pub async fn open(config: &Config) -> Result<Database, StartError> {
    let database = Database::open(&config.database_url, &config.store).await?;
    MIGRATIONS.at_start(&database, config.store.migrate_on_start).await?;
    Ok(database)
}

/// The store over a database that is open and migrated. Its events go out through `publisher`.
pub fn over(database: Database, publisher: Publisher) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries::new(database, publisher)),
        Database::Sqlite(database) => Box::new(sqlite::Queries::new(database, publisher)),
    }
}
