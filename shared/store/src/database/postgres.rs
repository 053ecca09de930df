//! PostgreSQL.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use quartet_kernel::Deadline;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Transaction};

use crate::backend::RowLock;
use crate::{Config, ConnectRetry, Error};

/// A pool of connections to PostgreSQL.
#[derive(Clone)]
pub struct Postgres {
    pool: PgPool,
    statement_timeout: Duration,
    connect_timeout: Duration,
}

/// A connection for reading.
pub enum Read {
    /// Under the pool's bound on statements.
    Plain(PoolConnection<sqlx::Postgres>),
    /// In a transaction, which holds a tighter bound and takes it along when it ends.
    Bounded(Transaction<'static, sqlx::Postgres>),
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
        let pool = PgPoolOptions::new()
            .max_connections(config.pool_size)
            .acquire_timeout(config.acquire_timeout.0)
            // A ping before each use costs a round trip; a connection that died shows at its first
            // statement.
            .test_before_acquire(false)
            .connect_lazy_with(options);

        let database = Self {
            pool,
            statement_timeout,
            connect_timeout: config.connect_timeout.0,
        };
        let retry = database.connect_retry();
        while let Err(error) = database.pool.acquire().await.map_err(Error::from) {
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

    /// The pool itself, for migrations and tests.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection for reading, bounded by `deadline`.
    pub async fn read(&self, deadline: Deadline) -> Result<Read, Error> {
        if deadline.remaining() >= self.statement_timeout {
            return Ok(Read::Plain(self.pool.acquire().await?));
        }
        Ok(Read::Bounded(self.write(deadline).await?))
    }

    /// A transaction, bounded by `deadline`. It rolls back unless it is committed.
    pub async fn write(&self, deadline: Deadline) -> Result<Transaction<'static, sqlx::Postgres>, Error> {
        self.write_locking(deadline, &[]).await
    }

    /// As [`Postgres::write`], with these rows locked in the same round trip.
    pub async fn write_locking(
        &self,
        deadline: Deadline,
        locks: &[RowLock],
    ) -> Result<Transaction<'static, sqlx::Postgres>, Error> {
        let remaining = deadline.remaining();
        if remaining.is_zero() {
            return Err(Error::Deadline);
        }
        let pool = self.pool.clone();
        let bound = (remaining < self.statement_timeout).then_some(remaining.as_millis());
        let locks: String = locks.iter().map(|lock| format!("; {lock}")).collect();
        // A task of its own, which goes on when the caller gives up: sqlx would hand a connection
        // whose `begin` was not awaited to the end back to the pool with the transaction open.
        let begun = tokio::spawn(async move {
            let bound = match bound {
                None if locks.is_empty() => return pool.begin().await,
                None => String::new(),
                // Zero would mean no bound, so at least a millisecond.
                Some(bound) => format!("; set local statement_timeout = {}", bound.max(1)),
            };
            // One round trip for all of them. They hold numbers and ids, and names from the code.
            let begin = format!("begin{bound}{locks}");
            pool.begin_with(sqlx::AssertSqlSafe(begin)).await
        });
        // It can only be lost with the runtime.
        Ok(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
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
