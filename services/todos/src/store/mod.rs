//! Where todos, tags and the feed of their changes are kept: a trait for each, two databases.
//!
//! The files of `queries/` are compiled once per database; what differs between the two stands in `postgres.rs` and `sqlite.rs`.

mod changes;
mod departures;
mod heads;
mod list;
mod postgres;
mod snapshot;
mod sqlite;
mod tags;
mod todos;
mod transfer;

use quartet_messaging::Publisher;
use quartet_rpc::host::StartError;
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;

pub use changes::Changes;
pub use departures::{Departures, UserNews};
pub use heads::{Follower, Heads};
pub use tags::Tags;
pub use todos::Todos;
pub use transfer::Transfer;

use crate::Config;

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// All that the service keeps. Every function takes the deadline that bounds its statements.
pub trait Store: Todos + Tags + Changes + Departures + Transfer {}

impl<T: Todos + Tags + Changes + Departures + Transfer> Store for T {}

/// Opens the database that `config` names and migrates it if the settings say so.
pub async fn open(config: &Config) -> Result<Database, StartError> {
    let database = Database::open(&config.database_url, &config.store).await?;
    if config.store.migrate_on_start {
        MIGRATIONS.up(&database).await?;
    }
    Ok(database)
}

/// The store over a database that is open and migrated. What it writes is told of through `outgoing`.
pub fn over(database: Database, outgoing: Outgoing) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries::new(database, outgoing)),
        Database::Sqlite(database) => Box::new(sqlite::Queries::new(database, outgoing)),
    }
}
