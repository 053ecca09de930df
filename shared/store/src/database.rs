//! The pools, opened from a URL, with deadlines that reach the statement.
//!
//! [`Postgres`] and [`Sqlite`] have the same methods, so that a file of queries compiles against
//! either: `read` gives a connection, `write` a transaction, both bounded by the caller's deadline.

mod postgres;
mod sqlite;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use deadpool::managed::{Manager, Object, Pool, PoolError};
use quartet_kernel::Deadline;

pub use postgres::{
    Connections as PostgresConnections, Postgres, Read as PostgresRead, Transaction as PostgresTransaction,
};
pub use sqlite::{Read as SqliteRead, Sqlite, Write as SqliteWrite};

use crate::{Config, Error};

/// How long the last statements may take when a pool is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// An opened database of one service.
#[derive(Clone)]
pub enum Database {
    /// PostgreSQL.
    Postgres(Postgres),
    /// SQLite, embedded.
    Sqlite(Sqlite),
}

impl Database {
    /// Opens the database at `url`, waiting for a server that does not answer yet as long as the
    /// settings say; a missing SQLite file is made.
    pub async fn open(url: &DatabaseUrl, config: &Config) -> Result<Self, Error> {
        match url {
            DatabaseUrl::Postgres(url) => Postgres::open(url, config).await.map(Self::Postgres),
            DatabaseUrl::Sqlite(path) => Sqlite::open(path, config).await.map(Self::Sqlite),
        }
    }

    /// Whether the database takes writes, as it shows within `bound`: a server that is no standby, or
    /// a file that nobody else has locked.
    pub async fn answers(&self, bound: Duration) -> bool {
        let probe = async {
            match self {
                Self::Postgres(database) => {
                    let mut connection = database.read(Deadline::after(bound)).await?;
                    let probe = sqlx::query_scalar("select not pg_is_in_recovery()");
                    Ok::<bool, Error>(probe.fetch_one(&mut *connection).await?)
                }
                Self::Sqlite(database) => database.write(Deadline::after(bound)).await.map(|_| true),
            }
        };
        matches!(tokio::time::timeout(bound, probe).await, Ok(Ok(true)))
    }

    /// Closes every connection; statements in flight end first.
    pub async fn close(&self) {
        match self {
            Self::Postgres(database) => database.close().await,
            Self::Sqlite(database) => database.close().await,
        }
    }
}

/// The next connection of the pool, which is waited for at most `timeout`.
async fn acquire<M>(pool: &Pool<M>, timeout: Duration) -> Result<Object<M>, Error>
where
    M: Manager<Error = sqlx::Error>,
{
    match tokio::time::timeout(timeout, pool.get()).await {
        Ok(Ok(object)) => Ok(object),
        Ok(Err(PoolError::Backend(error))) => Err(error.into()),
        Ok(Err(PoolError::Closed)) => Err(sqlx::Error::PoolClosed.into()),
        Ok(Err(_)) | Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
    }
}

/// Closes all connections of the pool, those in use when they are given back, which this waits for.
async fn close_all<M: Manager>(pool: &Pool<M>) {
    pool.close();
    let all_are_back = async {
        while pool.status().size > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(CLOSE_TIMEOUT, all_are_back).await.is_err() {
        tracing::warn!("a statement went on while its connections were closed");
    }
}

/// Where a store is: `postgres://user:password@host:port/name` or `sqlite://path/to/file.db`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A PostgreSQL server.
    Postgres(String),
    /// A SQLite file.
    Sqlite(String),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            url::Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.to_owned())),
            _ => Err("expected `postgres://user:password@host:port/name` or `sqlite://path/to/file.db`".into()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(text) => match url::Url::parse(text) {
                Ok(mut url) => {
                    // The scheme has an authority, so a password can be taken away.
                    let _ = url.set_password(None);
                    write!(f, "{url}")
                }
                Err(_) => f.write_str("postgres://…"),
            },
            Self::Sqlite(path) => write!(f, "sqlite://{path}"),
        }
    }
}
