//! The queries over PostgreSQL.

use quartet_store::Postgres as Store;
use sqlx::{PgConnection as Connection, PgPool, Postgres as Db};

use crate::relay::LANES;

/// The connections of a relay: its own, since they are set up as those of calls must not be.
pub(super) fn relaying(store: &Store) -> PgPool {
    let options = (*store.pool().connect_options()).clone().options([
        // What a relay writes may be lost in a crash of the server: the message is then sent once more, and the inbox absorbs it.
        ("synchronous_commit", "off"),
        // There is one good plan, along the index of unsent rows up to the limit. The statistics of a table whose rows are nearly all sent
        // suggest to read and sort what is unsent, which in a backlog is everything, for every batch.
        ("enable_sort", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ]);
    // One for each lane and one to tend.
    let connections = u32::try_from(LANES + 1).unwrap_or(u32::MAX);
    let pool = store
        .pool()
        .options()
        .clone()
        .min_connections(0)
        .max_connections(connections);
    pool.connect_lazy_with(options)
}

/// SQL that tells whether a number is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" = any(", $parameter, ")")
    };
}

/// SQL that tells whether a number is among those that a query gives. As an array, they are looked up one by one whatever the plan expects.
macro_rules! these {
    ($query:literal) => {
        concat!(" = any(array(", $query, "))")
    };
}

/// SQL that locks the selected rows, and passes over those that another relay has locked.
macro_rules! lock {
    () => {
        " for update skip locked"
    };
}

/// Numbers as one bound value.
fn bind_numbers(numbers: &[i64]) -> Vec<i64> {
    numbers.to_vec()
}

include!("queries.rs");
