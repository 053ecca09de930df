//! Copies of several SQLite databases as they are at one moment, while a process uses them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::Error;
use crate::error::is_busy;

/// How long the lock of one database is waited for while those of others are held. A process that
/// holds one may itself wait for another, so that the wait has to end.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);
/// How long all of them together are tried for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Copies each database of `from` to the file beside it in `to`, which must not exist. Writers wait
/// meanwhile, readers do not. Returns how long writers had to wait.
///
/// # Errors
/// When a database cannot be read or written, or when writers leave no moment for a minute.
pub async fn copy(copies: &[(PathBuf, PathBuf)]) -> Result<Duration, Error> {
    let begun = Instant::now();
    let held = loop {
        match hold_all(copies).await {
            Ok(held) => break held,
            Err(error) if is_busy(&error) && begun.elapsed() < BUSY_TIMEOUT => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    };
    let held_since = Instant::now();
    let mut copied = Ok(());
    for (from, to) in copies {
        copied = copy_one(from, to).await;
        if copied.is_err() {
            break;
        }
    }
    let paused = held_since.elapsed();
    for connection in held {
        // Closing one takes its transaction back, which has changed nothing.
        let _ = connection.close().await;
    }
    copied.map(|()| paused).map_err(Error::from)
}

/// Takes the write lock of every database.
async fn hold_all(copies: &[(PathBuf, PathBuf)]) -> Result<Vec<SqliteConnection>, sqlx::Error> {
    let mut held = Vec::with_capacity(copies.len());
    for (from, _) in copies {
        let mut connection = options(from).busy_timeout(LOCK_TIMEOUT).connect().await?;
        sqlx::query("begin immediate").execute(&mut connection).await?;
        held.push(connection);
    }
    Ok(held)
}

async fn copy_one(from: &Path, to: &Path) -> Result<(), sqlx::Error> {
    let mut connection = options(from).read_only(true).connect().await?;
    sqlx::query("vacuum into $1")
        .bind(to.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Whether the file is a database without damage.
///
/// # Errors
/// When it cannot be read.
pub async fn is_intact(path: &Path) -> Result<bool, Error> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .connect()
        .await?;
    let found: String = sqlx::query_scalar("pragma integrity_check(1)")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(found == "ok")
}

/// The number of the newest migration of the database; `None` where it has had none.
///
/// # Errors
/// When it cannot be read.
pub async fn newest_migration(path: &Path) -> Result<Option<i64>, Error> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .connect()
        .await?;
    let newest = sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(newest)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
}
