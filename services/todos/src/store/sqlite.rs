//! The queries over SQLite.

use quartet_messaging::Outgoing;
use quartet_store::Sqlite as Pool;
use sqlx::{Sqlite as Db, SqliteConnection as Connection};

/// SQL that tells whether an id is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" in (select unhex(value) from json_each(", $parameter, "))")
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
}

impl Queries {
    pub(super) fn new(pool: Pool, outgoing: Outgoing) -> Self {
        Self { pool, outgoing }
    }
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
