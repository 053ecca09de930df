//! The queries over PostgreSQL.

use quartet_clock::Clock;
use quartet_messaging::Publisher;
use quartet_store::Postgres as Pool;
use sqlx::{PgConnection as Connection, Postgres as Db};

/// The store over PostgreSQL.
pub(super) struct Queries {
    pub(super) pool: Pool,
    pub(super) clock: Clock,
    pub(super) outgoing: Outgoing,
}

/// SQL that locks the rows of a `select`.
macro_rules! locking {
    () => {
        " for update"
    };
}

/// SQL that locks the rows of a `select` and passes over those that others have locked.
macro_rules! passing_over_locked {
    () => {
        " for update skip locked"
    };
}

#[macro_use]
mod rows {
    include!("queries/rows.rs");
}
mod tasks {
    include!("queries/tasks.rs");
}
mod work {
    include!("queries/work.rs");
}
mod queues {
    include!("queries/queues.rs");
}
mod webhooks {
    include!("queries/webhooks.rs");
}
