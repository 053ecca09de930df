//! The queries over SQLite.

use quartet_messaging::Publisher;
use quartet_store::Sqlite as Pool;
use sqlx::{Sqlite as Db, SqliteConnection as Connection};

use super::Heads;

/// SQL that tells whether an id is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" in (select unhex(value) from json_each(", $parameter, "))")
    };
}

/// SQL at the end of a select that passes over rows which another transaction has locked: none, with one writer at a time.
macro_rules! skip_locked {
    () => {
        ""
    };
}

/// Ids as one bound value: SQLite has no arrays, but reads JSON.
fn bind_ids(ids: &[uuid::Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", ids.join(","))
}

pub(super) struct Queries {
    pool: Pool,
    outgoing: Outgoing,
    heads: Heads,
}

impl Queries {
    pub(super) fn new(pool: Pool, outgoing: Outgoing) -> Self {
        let heads = Heads::default();
        Self { pool, outgoing, heads }
    }
}

mod changes {
    include!("queries/changes.rs");
}

mod todos {
    include!("queries/todos.rs");
}

mod tags {
    include!("queries/tags.rs");
}

mod departures {
    include!("queries/departures.rs");
}

mod todo_tags {
    include!("queries/todo_tags.rs");
}

mod transfer {
    include!("queries/transfer.rs");
}
