//! Where users, profiles, tiers and rate limits are stored: a trait for each, two databases.
//!
//! The files of `queries/` are compiled once per database; what differs between the two is in
//! `postgres.rs` and `sqlite.rs`.

mod pending_change;
mod postgres;
mod profiles;
mod rate_limits;
mod sqlite;
mod tiers;
mod users;

use quartet_messaging::{Consumer, Publisher};
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;

pub use pending_change::PendingChange;
pub use profiles::Profiles;
pub use rate_limits::RateLimits;
pub use tiers::Tiers;
pub use users::Users;

use crate::Config;

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// All that the service stores. Every function takes the circumstances of its work: the time that
/// it writes, the deadline that bounds its statements, and the trace that its events continue. As a
/// consumer, it applies events of accounts to their users.
pub trait Store: Users + Profiles + Tiers + RateLimits + Consumer {}

impl<T: Users + Profiles + Tiers + RateLimits + Consumer> Store for T {}

/// Opens the database that `config` names and migrates it if the settings say so.
pub async fn open(config: &Config) -> Result<Database, Box<dyn std::error::Error + Send + Sync>> {
    let database = Database::open(&config.database_url, &config.store).await?;
    MIGRATIONS.at_start(&database, config.store.migrate_on_start).await?;
    Ok(database)
}

/// The store over a database that is open and migrated. Its events go through `publisher`.
pub fn over(database: Database, publisher: Publisher) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries::new(database, publisher)),
        Database::Sqlite(database) => Box::new(sqlite::Queries::new(database, publisher)),
    }
}
