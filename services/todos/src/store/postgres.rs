//! The queries over PostgreSQL.

use quartet_store::Postgres as Pool;
use sqlx::{PgConnection as Connection, Postgres as Db};

/// SQL that tells whether an id is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" = any(", $parameter, ")")
    };
}

/// Ids as one bound value.
fn bind_ids(ids: &[uuid::Uuid]) -> Vec<uuid::Uuid> {
    ids.to_vec()
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
