//! The queries over SQLite.

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
}

impl Queries {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

mod todos {
    include!("queries/todos.rs");
}

mod tags {
    include!("queries/tags.rs");
}

mod todo_tags {
    include!("queries/todo_tags.rs");
}

mod transfer {
    include!("queries/transfer.rs");
}
