//! The queries over PostgreSQL.

use quartet_messaging::Outgoing;
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
