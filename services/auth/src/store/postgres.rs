//! The queries over PostgreSQL.

use quartet_store::Postgres as Pool;
use sqlx::PgConnection as Connection;

/// Ends a `select` whose rows the transaction goes on to change.
macro_rules! for_update {
    ($table:literal) => {
        concat!(" for update of ", $table)
    };
}

include!("queries.rs");
