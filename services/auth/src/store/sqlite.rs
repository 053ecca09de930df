//! The queries over SQLite.

use quartet_store::Sqlite as Pool;
use sqlx::SqliteConnection as Connection;

/// Ends a `select` whose rows the transaction goes on to change. Nothing is needed: there is one writer.
macro_rules! for_update {
    ($table:literal) => {
        ""
    };
}

include!("queries.rs");
