//! Where todos and tags are kept: a trait for each, two databases.
//!
//! The files of `queries/` are compiled once per database; what differs between the two stands in `postgres.rs` and `sqlite.rs`.

mod list;
mod postgres;
mod sqlite;
mod tags;
mod todos;
mod transfer;

use quartet_rpc::host::StartError;
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;

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
pub trait Store: Todos + Tags + Transfer {}

impl<T: Todos + Tags + Transfer> Store for T {}

/// Opens the store that `config` names and migrates it if the settings say so.
pub async fn open(config: &Config) -> Result<Box<dyn Store>, StartError> {
    let database = Database::open(&config.database_url, &config.store).await?;
    if config.store.migrate_on_start {
        MIGRATIONS.up(&database).await?;
    }
    Ok(over(database))
}

/// The store over a database that is open and migrated.
pub fn over(database: Database) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries::new(database)),
        Database::Sqlite(database) => Box::new(sqlite::Queries::new(database)),
    }
}
