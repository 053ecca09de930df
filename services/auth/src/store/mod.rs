//! Where accounts, sessions and keys are kept: one trait for each, two databases.
//!
//! The files of `queries/` are compiled once per database. What differs between the two is in
//! `postgres/` and `sqlite/`.

mod accounts;
mod attempts;
mod keys;
mod mails;
mod pending;
mod postgres;
mod second_factors;
mod security_events;
mod sessions;
mod sqlite;

use quartet_messaging::{Consumer, Publisher};
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;

pub use accounts::{AccountChange, Accounts, NewSession, Replacement};
pub use attempts::{Attempts, Guess, Name, SignIn};
pub use keys::SigningKeys;
pub use mails::{IssuedMail, Mails, Proven};
pub use second_factors::SecondFactors;
pub use security_events::{EventFilter, SecurityEvents};
pub use sessions::{Rotation, SessionKey, Sessions};

use crate::Config;
use crate::ended_sessions::EndedSessions;

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// All that auth keeps.
pub trait Store:
    Accounts + Sessions + SecondFactors + SecurityEvents + Attempts + SigningKeys + Mails + Consumer
{
}

impl<T: Accounts + Sessions + SecondFactors + SecurityEvents + Attempts + SigningKeys + Mails + Consumer> Store for T {}

/// Opens the database that `config` names and migrates it if the settings say so.
pub async fn open(config: &Config) -> Result<Database, Box<dyn std::error::Error + Send + Sync>> {
    let database = Database::open(&config.own.database_url, &config.store).await?;
    MIGRATIONS.at_start(&database, config.store.migrate_on_start).await?;
    Ok(database)
}

/// The store over a database that is open and migrated. It publishes through `publisher`, and
/// passes the sessions that end to `ended`.
pub fn over(database: Database, publisher: Publisher, ended: EndedSessions) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries::new(database, publisher, ended)),
        Database::Sqlite(database) => Box::new(sqlite::Queries::new(database, publisher, ended)),
    }
}

/// Binds what a statement that records an event takes beside time, account and session: id, kind, actor,
/// client address, request, trace and detail.
macro_rules! bind_event {
    ($query:expr, $event:expr) => {
        $query
            .bind($event.id)
            .bind(&$event.kind)
            .bind(&$event.actor)
            .bind(&$event.client_address)
            .bind(&$event.request_id)
            .bind(&$event.trace_id)
            .bind(&$event.detail)
    };
}
use bind_event;

/// A row that holds what no version of this suite has written.
fn unreadable(what: &str) -> crate::Error {
    sqlx::Error::Decode(what.to_owned().into()).into()
}
