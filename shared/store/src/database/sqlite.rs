//! SQLite, embedded: one writer and several readers, since SQLite serves one writer at a time.

use std::fs::{DirBuilder, OpenOptions};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quartet_kernel::Deadline;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqliteConnection, Transaction};

use crate::config::Synchronous;
use crate::{Config, Error};

/// SQLite calls the progress handler after this many steps of its virtual machine: some tens of
/// microseconds.
const STEPS: i32 = 1_000;

/// A SQLite file in WAL mode, open once for writing and several times for reading.
#[derive(Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    statement_timeout: Duration,
}

/// A connection for reading, bounded by a deadline.
pub struct Read {
    connection: PoolConnection<sqlx::Sqlite>,
    _bound: Bound,
}

/// A transaction of the one writer, bounded by a deadline. It rolls back unless it is committed.
pub struct Write {
    transaction: Transaction<'static, sqlx::Sqlite>,
    _bound: Bound,
}

/// While it lives, statements of its connection are interrupted at the deadline.
type Bound = Arc<()>;

impl Sqlite {
    pub(super) async fn open(path: &str, config: &Config) -> Result<Self, Error> {
        make_private(Path::new(path)).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match config.sqlite_synchronous {
                Synchronous::Full => SqliteSynchronous::Full,
                Synchronous::Normal => SqliteSynchronous::Normal,
            })
            .foreign_keys(true)
            .busy_timeout(config.acquire_timeout.0);
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(config.acquire_timeout.0)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        // The writer comes first: it makes the file and its journal, which a reader may not.
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        let readers = pool()
            .max_connections(config.pool_size)
            .connect_lazy_with(options.read_only(true));
        Ok(Self {
            writer,
            readers,
            statement_timeout: config.statement_timeout.0,
        })
    }

    /// The writer's pool, for migrations and tests.
    pub fn pool(&self) -> &SqlitePool {
        &self.writer
    }

    /// A connection for reading, bounded by `deadline`.
    pub async fn read(&self, deadline: Deadline) -> Result<Read, Error> {
        let mut connection = self.readers.acquire().await?;
        let bound = self.bound(&mut connection, deadline).await?;
        Ok(Read {
            connection,
            _bound: bound,
        })
    }

    /// The writer's transaction, bounded by `deadline`. It rolls back unless it is committed.
    pub async fn write(&self, deadline: Deadline) -> Result<Write, Error> {
        // A deferred transaction that reads before it writes can find the database locked; an
        // immediate one waits its turn first.
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let bound = self.bound(&mut transaction, deadline).await?;
        Ok(Write {
            transaction,
            _bound: bound,
        })
    }

    /// Installs the interruption: at the deadline, or at the general bound on statements where that
    /// is nearer.
    async fn bound(&self, connection: &mut SqliteConnection, deadline: Deadline) -> Result<Bound, Error> {
        if deadline.has_passed() {
            return Err(Error::Deadline);
        }
        let until = deadline.min(Deadline::after(self.statement_timeout));
        let bound = Arc::new(());
        let alive = Arc::downgrade(&bound);
        // The handler stays on the connection; once the borrower is gone, it lets everything pass.
        connection
            .lock_handle()
            .await?
            .set_progress_handler(STEPS, move || alive.strong_count() == 0 || !until.has_passed());
        Ok(bound)
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the file and its folder for this user alone, unless they are there: a store holds keys and
/// password hashes.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

impl Write {
    /// Makes what was written last.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Deref for Read {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Read {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}
