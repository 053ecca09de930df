//! PostgreSQL.

mod connections;
mod transaction;

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use metrics::{Label, gauge};
use quartet_kernel::Deadline;
use quartet_telemetry::metrics::{self as telemetry, DB_CLIENT_CONNECTION_COUNT, DB_CLIENT_CONNECTION_MAX};
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use connections::Connection;
pub use connections::Connections;
pub use transaction::Transaction;

use crate::backend::RowLock;
use crate::{Config, ConnectRetry, Error};

/// How often the connections are measured, and those that nobody needs closed.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long the connection of a migration stays open after it.
const AFTER_MIGRATIONS: Duration = Duration::from_secs(5);

/// A pool of connections to PostgreSQL.
#[derive(Clone)]
pub struct Postgres {
    connections: Connections,
    migrating: PgPool,
    statement_timeout: Duration,
    connect_timeout: Duration,
}

/// A connection for reading.
pub enum Read {
    /// Under the pool's bound on statements.
    Plain(Connection),
    /// In a transaction, which holds a tighter bound and takes it along when it ends.
    Bounded(Transaction),
}

/// Closes idle connections and records how many there are, for as long as anybody has the pool and it
/// is open.
async fn keep_up(connections: impl Fn() -> Option<Connections>, name: String, max: u32) {
    let labels = |state: &'static str| {
        [
            Label::new("db_client_connection_pool_name", name.clone()),
            Label::new("db_client_connection_state", state),
        ]
    };
    let (idle, used) = (labels("idle"), labels("used"));
    let [of_pool, _] = labels("");
    if telemetry::is_on() {
        gauge!(DB_CLIENT_CONNECTION_MAX, [of_pool].iter()).set(max);
    }
    while let Some(connections) = connections() {
        connections.close_idle();
        if telemetry::is_on() {
            let count = connections.count();
            gauge!(DB_CLIENT_CONNECTION_COUNT, idle.iter()).set(count.idle as f64);
            gauge!(DB_CLIENT_CONNECTION_COUNT, used.iter()).set(count.used as f64);
        }
        drop(connections);
        tokio::time::sleep(UPKEEP_INTERVAL).await;
    }
}

impl Postgres {
    pub(super) async fn open(url: &str, config: &Config) -> Result<Self, Error> {
        let statement_timeout = config.statement_timeout.0;
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name("quartet").options([
            ("statement_timeout", statement_timeout.as_millis().to_string()),
            // A transaction whose process was stopped must not hold its locks for good.
            ("idle_in_transaction_session_timeout", "60000".to_owned()),
        ]);
        let connections = Connections::new(options.clone(), config.pool_size, config.acquire_timeout.0);
        let migrating = PgPoolOptions::new()
            .max_connections(config.pool_size)
            .acquire_timeout(config.acquire_timeout.0)
            .idle_timeout(AFTER_MIGRATIONS)
            .connect_lazy_with(options.clone());
        let name = options.get_database().unwrap_or_default().to_owned();
        tokio::spawn(keep_up(connections.weak(), name, config.pool_size));
        let database = Self {
            connections,
            migrating,
            statement_timeout,
            connect_timeout: config.connect_timeout.0,
        };
        let retry = database.connect_retry();
        while let Err(error) = database.connections.acquire().await {
            if !retry.again(&error).await {
                return Err(error);
            }
        }
        Ok(database)
    }

    /// How long a step of a start, which begins now, waits for the server.
    pub fn connect_retry(&self) -> ConnectRetry {
        ConnectRetry::until(Deadline::after(self.connect_timeout))
    }

    /// Connections as sqlx's migrations take them, beside those of [`Postgres::read`] and
    /// [`Postgres::write`]; tests use them too.
    pub fn pool(&self) -> &PgPool {
        &self.migrating
    }

    /// Connections of their own to the same database, with other options.
    pub fn separately(&self, size: u32, options: impl FnOnce(PgConnectOptions) -> PgConnectOptions) -> Connections {
        self.connections.alike(size, options)
    }

    /// A connection for reading, bounded by `deadline`.
    pub async fn read(&self, deadline: Deadline) -> Result<Read, Error> {
        if deadline.remaining() >= self.statement_timeout {
            return Ok(Read::Plain(self.connections.acquire().await?));
        }
        Ok(Read::Bounded(self.write(deadline).await?))
    }

    /// A transaction, bounded by `deadline`. It rolls back unless it is committed.
    pub async fn write(&self, deadline: Deadline) -> Result<Transaction, Error> {
        self.write_locking(deadline, &[]).await
    }

    /// As [`Postgres::write`], with these rows locked in the same round trip.
    pub async fn write_locking(&self, deadline: Deadline, locks: &[RowLock]) -> Result<Transaction, Error> {
        let remaining = deadline.remaining();
        if remaining.is_zero() {
            return Err(Error::Deadline);
        }
        let mut begin = "begin".to_owned();
        if remaining < self.statement_timeout {
            // Zero would mean no bound, so at least a millisecond.
            let bound = remaining.as_millis().max(1);
            let _ = write!(begin, "; set local statement_timeout = {bound}");
        }
        for lock in locks {
            let _ = write!(begin, "; {lock}");
        }
        // One round trip for all of them. They hold numbers and ids, and names from the code.
        Transaction::begin(self.connections.acquire().await?, begin).await
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
        self.migrating.close().await;
    }
}

impl Deref for Read {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Bounded(transaction) => transaction,
        }
    }
}

impl DerefMut for Read {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Bounded(transaction) => transaction,
        }
    }
}
