//! The queries over PostgreSQL.

use quartet_messaging::Publisher;
use quartet_store::Postgres as Pool;
use sqlx::{PgConnection as Connection, Postgres as Db};

use super::Heads;

/// SQL that tells whether an id is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" = any(", $parameter, ")")
    };
}

/// SQL at the end of a select that passes over rows which another transaction has locked.
macro_rules! skip_locked {
    () => {
        " for update skip locked"
    };
}

/// Ids as one bound value.
fn bind_ids(ids: &[uuid::Uuid]) -> Vec<uuid::Uuid> {
    ids.to_vec()
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
