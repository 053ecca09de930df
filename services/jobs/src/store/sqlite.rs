//! The queries over SQLite.

use quartet_clock::Clock;
use quartet_messaging::Publisher;
use quartet_store::Sqlite as Pool;
use sqlx::{Sqlite as Db, SqliteConnection as Connection};

/// The store over SQLite.
pub(super) struct Queries {
    pub(super) pool: Pool,
    pub(super) clock: Clock,
    pub(super) outgoing: Outgoing,
}

/// SQLite has one writer, whose transaction locks everything from its beginning.
macro_rules! locking {
    () => {
        ""
    };
}

/// SQLite has one writer, whose transaction locks everything from its beginning.
macro_rules! passing_over_locked {
    () => {
        ""
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
