//! The queries over SQLite.

mod written;

#[path = "queries/job_rows.rs"]
mod job_rows;
#[path = "queries/queues.rs"]
mod queues;
#[path = "queries/reactions.rs"]
mod reactions;
#[path = "queries/tasks.rs"]
mod tasks;
#[path = "queries/unit.rs"]
mod unit;
#[path = "queries/webhooks.rs"]
mod webhooks;
#[path = "queries/work.rs"]
mod work;

use quartet_messaging::Publisher;
use quartet_store::Sqlite as Database;
use quartet_store::dialect::sqlite as dialect;
use sqlx::{Sqlite as Db, SqliteConnection as Connection};

use crate::notifier::JobNotifier;

/// Two statements, executed as one.
macro_rules! both {
    ($first:expr, $second:expr) => {
        concat!($first, "; ", $second)
    };
}
use both;

/// The function that returns the least of its arguments.
macro_rules! least {
    () => {
        "min"
    };
}
use least;

/// The function that returns the greatest of its arguments.
macro_rules! greatest {
    () => {
        "max"
    };
}
use greatest;

/// A length of time, of a number of microseconds.
macro_rules! microseconds {
    ($number:literal) => {
        $number
    };
}
use microseconds;

/// The store over SQLite.
pub(super) struct Queries {
    pub(super) database: Database,
    pub(super) publisher: Publisher,
    pub(super) notifier: JobNotifier,
}
