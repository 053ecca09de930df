//! Where jobs, schedules and webhooks are kept: a trait for each, two databases.
//!
//! `queries/` has a file for each trait, compiled once per database by `postgres.rs` and
//! `sqlite.rs`; what differs stands in the folders `postgres/` and `sqlite/`. Whatever queues a job
//! publishes the message that brings it to a worker in the same unit of work.

mod postgres;
mod queues;
mod reactions;
mod sqlite;
mod tasks;
mod webhooks;
mod work;

use quartet_messaging::Publisher;
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;

pub use queues::Queues;
pub use reactions::{Reaction, Reactions};
pub use tasks::Tasks;
pub use webhooks::Webhooks;
pub use work::{Lease, Renewal, Work};

use crate::Error;
use crate::domain::Kind;
use crate::notifier::JobNotifier;

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// All that the service keeps.
pub trait Store: Tasks + Work + Queues + Webhooks + Reactions {}
impl<T: Tasks + Work + Queues + Webhooks + Reactions> Store for T {}

/// The store over a database that is open and migrated. Its messages go out through `publisher`,
/// and `notifier` notifies this process of jobs that change.
pub fn over(database: Database, publisher: Publisher, notifier: JobNotifier) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries {
            database,
            publisher,
            notifier,
        }),
        Database::Sqlite(database) => Box::new(sqlite::Queries {
            database,
            publisher,
            notifier,
        }),
    }
}

/// A stored name that this version of the service does not know.
fn unknown(column: &str, name: &str) -> Error {
    sqlx::Error::Decode(format!("{column} `{name}` is not known here").into()).into()
}

/// The kind of that stored name.
fn kind(name: &str) -> Result<Kind, Error> {
    Kind::from_name(name).ok_or_else(|| unknown("kind", name))
}
