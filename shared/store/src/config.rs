//! Settings of every store.

use std::str::FromStr;

use quartet_config::value::Span;

quartet_config::settings! {
    /// Settings that all stores share; each service has its own `…_DATABASE_URL` beside them.
    pub struct Config {
        /// Connections per service: to PostgreSQL, or readers of SQLite (which has one writer
        /// besides).
        pool_size: u32 = "DATABASE_POOL_SIZE" or "10";
        /// How long a call waits for a connection.
        acquire_timeout: Span = "DATABASE_ACQUIRE_TIMEOUT" or "3s";
        /// Bound on one statement; a call with less time left bounds its statements by that.
        statement_timeout: Span = "DATABASE_STATEMENT_TIMEOUT" or "5s";
        /// How long a starting process waits for a database that does not answer yet.
        connect_timeout: Span = "DATABASE_CONNECT_TIMEOUT" or "30s";
        /// Whether a service migrates its store when it starts.
        migrate_on_start: bool = "DATABASE_MIGRATE_ON_START" or "true";
        /// What SQLite waits for before a commit returns: `full` (on disk: survives power loss) or
        /// `normal` (survives the end of the process).
        sqlite_synchronous: Synchronous = "SQLITE_SYNCHRONOUS" or "full";
    }
}

/// What SQLite waits for before a commit is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk.
    Full,
    /// The operating system.
    Normal,
}

impl FromStr for Synchronous {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            "normal" => Ok(Self::Normal),
            _ => Err("expected full or normal".into()),
        }
    }
}
