//! What can go wrong in a store, by what a caller can do about it.

use quartet_kernel::{DeadlineExceeded, Failure, Fault};

/// A failure of a store. Absence is not one: it is `None`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The deadline passed while a statement ran or waited.
    #[error("the deadline passed in the store")]
    Deadline,
    /// The database does not answer, or has no connection to give.
    #[error("the store is away: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// A unique constraint refused the row.
    #[error("a unique constraint refused the row: {constraint}")]
    Unique {
        /// The constraint as the database names it; [`Error::violates`] compares it.
        constraint: String,
    },
    /// Anything else: a mistake in a query or a row that does not read.
    #[error("the store failed: {0}")]
    Other(#[source] sqlx::Error),
}

impl Error {
    /// Whether a unique constraint refused the row: `name` is the constraint's name (PostgreSQL,
    /// and SQLite's indexes on expressions), `columns` the way SQLite writes the columns of any
    /// other, such as `tags.user_id, tags.name`.
    pub fn violates(&self, name: &str, columns: &str) -> bool {
        matches!(self, Self::Unique { constraint } if constraint == name || constraint == columns)
    }

    /// What a caller learns of it; logs what a person has to see.
    pub fn into_fault(self) -> Fault {
        match &self {
            Self::Deadline => DeadlineExceeded.into(),
            Self::Unavailable(source) => {
                tracing::warn!(error = %source, "the store is away");
                Fault::Unavailable("the store")
            }
            Self::Unique { .. } | Self::Other(_) => {
                tracing::error!(error = %self, "the store failed");
                Fault::Internal
            }
        }
    }
}

impl From<Error> for Failure {
    /// A store that is away comes back, and one that fails is repaired before the attempts are used
    /// up.
    fn from(error: Error) -> Self {
        Self::transient(error)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Unique {
                constraint: constraint(database.as_ref()),
            },
            // PostgreSQL: query_canceled. SQLite: SQLITE_INTERRUPT.
            sqlx::Error::Database(database) if matches!(database.code().as_deref(), Some("57014" | "9")) => {
                Self::Deadline
            }
            _ if is_away(&error) => Self::Unavailable(error),
            _ => Self::Other(error),
        }
    }
}

/// Whether the writer of the SQLite file is taken by another process: SQLITE_BUSY and its kinds.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("5" | "261" | "517" | "773"))
}

/// Whether the database does not answer, or has no connection to give.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => match database.code().as_deref() {
            // PostgreSQL: serialization failure and deadlock, of which one of the two may try
            // again; no connection left, shutting down, starting up, read-only during a fail-over.
            Some("40001" | "40P01" | "53300" | "57P01" | "57P02" | "57P03" | "25006") => true,
            // PostgreSQL: connection exceptions.
            code => is_busy(error) || code.is_some_and(|code| code.starts_with("08")),
        },
        _ => false,
    }
}

/// PostgreSQL names the constraint; SQLite puts the columns, or the index of an expression, into
/// its message.
fn constraint(error: &dyn sqlx::error::DatabaseError) -> String {
    if let Some(name) = error.constraint() {
        return name.to_owned();
    }
    let message = error.message();
    let named = message
        .split_once("constraint failed: ")
        .map_or(message, |(_, rest)| rest);
    match named.strip_prefix("index '") {
        Some(index) => index.trim_end_matches('\'').to_owned(),
        None => named.to_owned(),
    }
}
