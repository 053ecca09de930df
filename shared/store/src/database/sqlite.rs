//! SQLite, embedded: one writer and several readers, since SQLite serves one writer at a time.

use std::fs::{DirBuilder, OpenOptions};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, Object, Pool, QueueMode, RecycleResult};
use parking_lot::Mutex;
use quartet_kernel::Deadline;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection, Transaction};
use tokio::runtime::Handle;

use super::{acquire, close_all};
use crate::config::Synchronous;
use crate::error::is_busy;
use crate::{Config, Error};

/// SQLite calls the progress handler after this many steps of its virtual machine: some tens of
/// microseconds.
const STEPS: i32 = 1_000;

/// The pause before a file that another process is making is opened again.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// A SQLite file in WAL mode, open once for writing and several times for reading.
#[derive(Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    /// Of the writer's one connection.
    writer_bound: Bound,
    readers: Pool<ReaderOpener>,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

/// A connection for reading, bounded by a deadline.
pub struct Read(
    /// It is there until it is given back.
    Option<Object<ReaderOpener>>,
);

/// A transaction of the one writer, bounded by a deadline. It rolls back unless it is committed.
pub struct Write(Transaction<'static, sqlx::Sqlite>);

/// Until when the statements of a connection may run. A handler that stays on the connection reads it:
/// to put one there for each use would be a switch of threads.
#[derive(Clone, Default)]
struct Bound(Arc<Mutex<Option<Deadline>>>);

impl Bound {
    /// Puts the handler that interrupts statements on the connection.
    async fn install(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let bound = self.0.clone();
        let goes_on = move || bound.lock().is_none_or(|until| !until.has_passed());
        connection.lock_handle().await?.set_progress_handler(STEPS, goes_on);
        Ok(())
    }

    /// Sets it for the one who has the connection now.
    fn set(&self, deadline: Deadline) {
        *self.0.lock() = Some(deadline);
    }

    /// Lifts it for one who has the connection now, and no deadline.
    fn lift(&self) {
        *self.0.lock() = None;
    }
}

/// A connection for reading, and how long its statements may run.
struct Reader {
    connection: SqliteConnection,
    bound: Bound,
}

/// Opens connections for reading.
struct ReaderOpener(SqliteConnectOptions);

impl Manager for ReaderOpener {
    type Type = Reader;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Reader, sqlx::Error> {
        let mut connection = SqliteConnection::connect_with(&self.0).await?;
        let bound = Bound::default();
        bound.install(&mut connection).await?;
        Ok(Reader { connection, bound })
    }

    async fn recycle(&self, _: &mut Reader, _: &Metrics) -> RecycleResult<sqlx::Error> {
        Ok(())
    }
}

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
        let writer_bound = Bound::default();
        let pool = || {
            let (bound, last) = (writer_bound.clone(), writer_bound.clone());
            SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(config.acquire_timeout.0)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                // Not before: a statement whose caller went away goes on up to its bound.
                .before_acquire(move |_, _| {
                    last.lift();
                    Box::pin(async { Ok(true) })
                })
                .after_connect(move |connection, _| {
                    let bound = bound.clone();
                    Box::pin(async move { bound.install(connection).await })
                })
        };
        // The writer comes first: it makes the file and its journal, which a reader may not.
        // Another process that makes it at the same time holds it alone for a moment, in which SQLite
        // does not wait.
        let begun = Instant::now();
        let writer = loop {
            let opened = pool().connect_with(options.clone()).await;
            match opened {
                Err(error) if is_busy(&error) && begun.elapsed() < config.acquire_timeout.0 => {
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                opened => break opened?,
            }
        };
        let readers = Pool::builder(ReaderOpener(options.read_only(true)))
            .max_size(usize::try_from(config.pool_size).unwrap_or(usize::MAX))
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Self {
            writer,
            writer_bound,
            readers,
            acquire_timeout: config.acquire_timeout.0,
            statement_timeout: config.statement_timeout.0,
        })
    }

    /// The writer's pool, for migrations and tests.
    pub fn pool(&self) -> &SqlitePool {
        &self.writer
    }

    /// A connection for reading, bounded by `deadline`.
    pub async fn read(&self, deadline: Deadline) -> Result<Read, Error> {
        let reader = acquire(&self.readers, self.acquire_timeout).await?;
        reader.bound.set(self.until(deadline)?);
        Ok(Read(Some(reader)))
    }

    /// The writer's transaction, bounded by `deadline`. It rolls back unless it is committed.
    pub async fn write(&self, deadline: Deadline) -> Result<Write, Error> {
        // A deferred transaction that reads before it writes can find the database locked; an
        // immediate one waits its turn first.
        let transaction = self.writer.begin_with("begin immediate").await?;
        self.writer_bound.set(self.until(deadline)?);
        Ok(Write(transaction))
    }

    /// The deadline, or the general bound on statements where that is nearer.
    fn until(&self, deadline: Deadline) -> Result<Deadline, Error> {
        if deadline.has_passed() {
            return Err(Error::Deadline);
        }
        Ok(deadline.min(Deadline::after(self.statement_timeout)))
    }

    pub(super) async fn close(&self) {
        close_all(&self.readers).await;
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
        self.0.commit().await
    }
}

impl Drop for Read {
    /// Gives the connection back once nothing runs on it: a statement whose caller went away goes on up to
    /// its own bound, and the next one must neither wait for it nor give it theirs.
    fn drop(&mut self) {
        let Some(mut reader) = self.0.take() else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if reader.connection.ping().await.is_err() {
                    drop(Object::take(reader));
                }
            });
        }
    }
}

impl Deref for Read {
    type Target = SqliteConnection;

    #[expect(clippy::expect_used, reason = "the connection is there until it is given back")]
    fn deref(&self) -> &SqliteConnection {
        &self.0.as_ref().expect("a connection").connection
    }
}

impl DerefMut for Read {
    #[expect(clippy::expect_used, reason = "the connection is there until it is given back")]
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0.as_mut().expect("a connection").connection
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}
