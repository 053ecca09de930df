//! The queries over PostgreSQL.

mod written;

#[path = "queries/job_rows.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod job_rows;
#[path = "queries/queues.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod queues;
#[path = "queries/reactions.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod reactions;
#[path = "queries/tasks.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod tasks;
#[path = "queries/unit.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod unit;
#[path = "queries/webhooks.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod webhooks;
#[path = "queries/work.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod work;

use quartet_messaging::Publisher;
use quartet_store::Postgres as Database;
use quartet_store::dialect::postgres as dialect;
use sqlx::{PgConnection as Connection, Postgres as Db};

use crate::notifier::JobNotifier;

/// Two statements, executed as one.
macro_rules! both {
    ($first:expr, $second:expr) => {
        concat!("with first as (", $first, ") ", $second)
    };
}
use both;

/// The function that returns the least of its arguments.
macro_rules! least {
    () => {
        "least"
    };
}
use least;

/// The function that returns the greatest of its arguments.
macro_rules! greatest {
    () => {
        "greatest"
    };
}
use greatest;

/// A length of time, of a number of microseconds.
macro_rules! microseconds {
    ($number:literal) => {
        concat!("(", $number, " * interval '1 microsecond')")
    };
}
use microseconds;

/// The store over PostgreSQL.
pub(super) struct Queries {
    pub(super) database: Database,
    pub(super) publisher: Publisher,
    pub(super) notifier: JobNotifier,
}
