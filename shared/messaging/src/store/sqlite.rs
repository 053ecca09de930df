//! The queries over SQLite.

use sqlx::{Sqlite as Db, SqliteConnection as Connection};

/// SQL that tells whether a number is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" in (select value from json_each(", $parameter, "))")
    };
}

/// SQL that tells whether a number is among those that a query gives.
macro_rules! these {
    ($query:literal) => {
        concat!(" in (", $query, ")")
    };
}

/// SQLite has one writer at a time: there is nobody to pass over.
macro_rules! lock {
    () => {
        ""
    };
}

/// Numbers as one bound value: SQLite has no arrays, but reads JSON.
fn bind_numbers(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}

include!("queries.rs");
