//! Connections to PostgreSQL, kept for whoever needs one next.
//!
//! Not sqlx's pool: that sends a ping over each connection that is given back, in a task of its own,
//! which doubles the round trips of a read. Here a connection goes back as it is, unless it shows that
//! a statement was abandoned on it.

use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, QueueMode, RecycleError, RecycleResult};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::Error;
use crate::database::{acquire, close_all};

/// A connection that nobody has used for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// A connection that is so old is replaced: the server's process lets go of what it has gathered, and
/// servers that came back share the load again.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// A connection that nobody has used for so long is tested first.
const UNTESTED: Duration = Duration::from_secs(5);
/// How long that test may take: where connections vanish without a word, one of them must not use up the
/// time of whoever waits.
const TEST_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a statement that was abandoned may go on before its connection is closed.
pub(super) const ABANDONED: Duration = Duration::from_secs(60);

/// Connections with the same options, a bounded number of them. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    pool: Pool<Opener>,
    acquire_timeout: Duration,
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// Those that wait to be used.
    pub(super) idle: usize,
    /// Those that are in use.
    pub(super) used: usize,
}

impl Connections {
    /// At most `size` connections, each opened when it is first needed; whoever needs one waits
    /// `acquire_timeout` for it.
    pub(super) fn new(options: PgConnectOptions, size: u32, acquire_timeout: Duration) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let builder = Pool::builder(Opener(options)).max_size(size);
        // The last that was used has the warmest caches, and the others become idle.
        let pool = builder.queue_mode(QueueMode::Lifo).build();
        Self {
            // A builder without timeouts of its own has nothing that it could refuse.
            pool: pool.unwrap_or_else(|_| unreachable!("timeouts need a runtime, and there are none")),
            acquire_timeout,
        }
    }

    /// A connection, which goes back when it is dropped.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: none was free in time, or the server takes none.
    pub async fn acquire(&self) -> Result<Connection, Error> {
        Ok(Connection(Some(acquire(&self.pool, self.acquire_timeout).await?)))
    }

    /// Connections of their own to the same server, with other options.
    pub(super) fn alike(&self, size: u32, options: impl FnOnce(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self::new(options(self.pool.manager().0.clone()), size, self.acquire_timeout)
    }

    pub(super) fn count(&self) -> Count {
        let status = self.pool.status();
        Count {
            idle: status.available,
            used: status.size - status.available,
        }
    }

    pub(super) fn close_idle(&self) {
        self.pool.retain(|_, metrics| metrics.last_used() < IDLE_TIMEOUT);
    }

    /// The same, for who must not keep them open: `None` once everybody else has let go of them, or they
    /// are closed.
    pub(super) fn weak(&self) -> impl Fn() -> Option<Self> + Send + use<> {
        let (pool, acquire_timeout) = (self.pool.weak(), self.acquire_timeout);
        move || {
            let pool = pool.upgrade().filter(|pool| !pool.is_closed())?;
            Some(Self { pool, acquire_timeout })
        }
    }

    /// Closes all connections, those in use when they are given back, which this waits for.
    pub(super) async fn close(&self) {
        close_all(&self.pool).await;
    }
}

/// Opens connections, and decides which are used again.
struct Opener(PgConnectOptions);

impl Manager for Opener {
    type Type = PgConnection;
    type Error = sqlx::Error;

    /// A server that refuses connections may be starting: it is tried until whoever waits gives up.
    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        let mut pause = Duration::from_millis(10);
        loop {
            match PgConnection::connect_with(&self.0).await {
                Err(sqlx::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) if is_starting(&error) => {}
                done => return done,
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn recycle(&self, connection: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > MAX_LIFETIME {
            return Err(RecycleError::message("old"));
        }
        if metrics.last_used() > UNTESTED {
            let tested = timeout(TEST_TIMEOUT, connection.ping()).await;
            tested.map_err(|_| RecycleError::message("no answer"))??;
        }
        Ok(())
    }
}

/// Whether the server takes no connection yet: `cannot_connect_now`, or `too_many_connections`, which it
/// may say of one that was just closed.
fn is_starting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("57P03" | "53300"))
}

/// A connection in use.
pub struct Connection(
    /// It is there until the connection is dropped.
    Option<Object<Opener>>,
);

impl Connection {
    /// Ends a connection that is not to be used again.
    pub(super) fn discard(mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    #[expect(clippy::expect_used, reason = "the connection is there until it is dropped")]
    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("a connection")
    }
}

impl DerefMut for Connection {
    #[expect(clippy::expect_used, reason = "the connection is there until it is dropped")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("a connection")
    }
}

impl Drop for Connection {
    /// Gives the connection back. One on which a statement was abandoned, since its caller went away,
    /// goes back once the server is done with it.
    fn drop(&mut self) {
        let Some(mut object) = self.0.take() else {
            return;
        };
        let state = pin!(object.flush()).poll(&mut Context::from_waker(Waker::noop()));
        match (state, Handle::try_current()) {
            (Poll::Ready(Ok(())), _) => {}
            (Poll::Pending, Ok(runtime)) => drop(runtime.spawn(async move {
                if !matches!(timeout(ABANDONED, object.flush()).await, Ok(Ok(()))) {
                    drop(Object::take(object));
                }
            })),
            (Poll::Ready(Err(_)), _) | (Poll::Pending, Err(_)) => drop(Object::take(object)),
        }
    }
}
