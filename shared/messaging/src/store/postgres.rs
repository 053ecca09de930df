//! The queries over PostgreSQL.

use quartet_store::Postgres as Pool;
use sqlx::{PgConnection as Connection, Postgres as Db};

/// SQL that tells whether a number is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" = any(", $parameter, ")")
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
