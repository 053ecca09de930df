//! The literals in which the SQL of the two databases differs.
//!
//! A file of queries is compiled once per database. It takes the macros and functions of
//! [`postgres`] or [`sqlite`] from the module that includes it, under the same names:
//! - `among!("$1")`: whether an id is one of those bound by `bind_ids` at `$1`;
//! - `among_numbers!("$1")`: the same for numbers bound by `bind_numbers`;
//! - `for_update!()`, `for_update!("table")`: locks the selected rows until the commit;
//! - `skip_locked!()`: locks the selected rows and passes over those that others have locked.

/// The literals of PostgreSQL.
pub mod postgres {
    use uuid::Uuid;

    pub use crate::{
        postgres_among as among, postgres_among_numbers as among_numbers, postgres_for_update as for_update,
        postgres_skip_locked as skip_locked,
    };

    /// Ids as one bound value.
    pub fn bind_ids(ids: &[Uuid]) -> Vec<Uuid> {
        ids.to_vec()
    }

    /// Numbers as one bound value.
    pub fn bind_numbers(numbers: &[i64]) -> Vec<i64> {
        numbers.to_vec()
    }
}

/// The literals of SQLite, which has no arrays but reads JSON, and one writer at a time.
pub mod sqlite {
    use uuid::Uuid;

    pub use crate::{
        sqlite_among as among, sqlite_among_numbers as among_numbers, sqlite_for_update as for_update,
        sqlite_skip_locked as skip_locked,
    };

    /// Ids as one bound value.
    pub fn bind_ids(ids: &[Uuid]) -> String {
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{}\"", id.simple())).collect();
        format!("[{}]", ids.join(","))
    }

    /// Numbers as one bound value.
    pub fn bind_numbers(numbers: &[i64]) -> String {
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        format!("[{}]", numbers.join(","))
    }
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! postgres_among {
    ($parameter:literal) => {
        concat!(" = any(", $parameter, ")")
    };
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! postgres_among_numbers {
    ($parameter:literal) => {
        concat!(" = any(", $parameter, ")")
    };
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! postgres_for_update {
    () => {
        " for update"
    };
    ($table:literal) => {
        concat!(" for update of ", $table)
    };
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! postgres_skip_locked {
    () => {
        " for update skip locked"
    };
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! sqlite_among {
    ($parameter:literal) => {
        concat!(" in (select unhex(value) from json_each(", $parameter, "))")
    };
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! sqlite_among_numbers {
    ($parameter:literal) => {
        concat!(" in (select value from json_each(", $parameter, "))")
    };
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! sqlite_for_update {
    ($($table:literal)?) => {
        ""
    };
}

/// See [`dialect`](crate::dialect).
#[macro_export]
#[doc(hidden)]
macro_rules! sqlite_skip_locked {
    () => {
        ""
    };
}
