//! Where accounts, sessions and keys are kept: one trait for each, two databases.
//!
//! The files of `queries/` are compiled once per database; what differs between the two stands in `postgres.rs` and `sqlite.rs`.

mod accounts;
mod attempts;
mod keys;
mod mails;
mod postgres;
mod rows;
mod sessions;
mod sqlite;
mod user_news;

use quartet_messaging::Publisher;
use quartet_rpc::host::StartError;
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;

pub use accounts::{AccountChange, Accounts, NewSession};
pub use attempts::{Attempt, Attempts};
pub use keys::SigningKeys;
pub use mails::{MailRequest, MailRequests, Proven};
pub use sessions::{Ending, Rotation, Sessions};
pub use user_news::UserNews;

use crate::Config;

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// All that auth keeps.
pub trait Store: Accounts + Sessions + Attempts + SigningKeys + MailRequests + UserNews {}

impl<T: Accounts + Sessions + Attempts + SigningKeys + MailRequests + UserNews> Store for T {}

/// Opens the database that `config` names and migrates it if the settings say so.
pub async fn open(config: &Config) -> Result<Database, StartError> {
    let database = Database::open(&config.own.database_url, &config.store).await?;
    if config.store.migrate_on_start {
        MIGRATIONS.up(&database).await?;
    }
    Ok(database)
}

/// The store over a database that is open and migrated. What happens to accounts is told of through `outgoing`.
pub fn over(database: Database, outgoing: Outgoing) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries::new(database, outgoing)),
        Database::Sqlite(database) => Box::new(sqlite::Queries::new(database, outgoing)),
    }
}
