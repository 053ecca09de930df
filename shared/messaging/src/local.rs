//! The broker within the process, for a suite that runs all in one.
//!
//! It keeps its queues in a SQLite file of its own, and so makes the promise of RabbitMQ in its
//! way: publishing commits one row for each queue that accepts the message, and only then is the
//! message marked sent in its outbox; the row goes once the handler has committed. Retries, the
//! pauses of queues and dead letters are states of that row, so they outlive the process. A process
//! that dies with a message in flight delivers it again when it is back, and the inbox absorbs what
//! had taken effect.
//!
//! The other way, to leave a row unsent in its outbox until every consumer has done it, was weighed
//! and dropped: one consumer that is behind would keep the message from being sent for all, and the
//! state of each consumer would have to be kept in each publisher's store.

mod consumer;
mod queues;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use quartet_clock::Clock;
use quartet_store::database::DatabaseUrl;
use quartet_store::{Database, Sqlite};
use sqlx::migrate::Migrator;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::broker::{DeadLetter, Error, Published, QueueStats};
use crate::{Broker, Handler, Message, Queue, Subscription};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/local");

/// The broker within the process. Clones are one broker.
#[derive(Clone)]
pub struct Local {
    pool: Sqlite,
    clock: Clock,
    signals: Arc<Mutex<HashMap<String, Arc<QueueSignal>>>>,
}

/// Why the broker's file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened as a database.
    #[error(transparent)]
    Store(#[from] quartet_store::Error),
    /// The tables cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database is another one.
    #[error("the broker within the process keeps its queues in SQLite")]
    NotSqlite,
}

/// What the consumers of one queue share in memory.
#[derive(Default)]
struct QueueSignal {
    /// Something changed in the queue.
    changed: Notify,
    /// What is in flight, by its place.
    in_flight: Mutex<HashSet<i64>>,
    /// Which consumer may claim.
    taking: tokio::sync::Mutex<()>,
    consumers: Mutex<u64>,
}

impl Local {
    /// Opens the broker's file, which is made if it is not there.
    pub async fn open(path: &Path, config: &quartet_store::Config, clock: Clock) -> Result<Self, OpenError> {
        let url = DatabaseUrl::Sqlite(path.display().to_string());
        let Database::Sqlite(pool) = Database::open(&url, config).await? else {
            return Err(OpenError::NotSqlite);
        };
        MIGRATIONS.run(pool.pool()).await?;
        Ok(Self {
            pool,
            clock,
            signals: Arc::default(),
        })
    }

    fn signal(&self, queue: &str) -> Arc<QueueSignal> {
        self.signals.lock().entry(queue.to_owned()).or_default().clone()
    }

    /// Wakes the consumers of a queue.
    fn notify(&self, queue: &str) {
        self.signal(queue).changed.notify_waiters();
    }
}

#[async_trait]
impl Broker for Local {
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
        Ok(queues::declare(&self.pool, queues).await?)
    }

    async fn publish(&self, batch: &[Message]) -> Vec<Published> {
        match queues::insert(&self.pool, batch, self.clock.now()).await {
            Ok((outcomes, touched)) => {
                touched.iter().for_each(|queue| self.notify(queue));
                outcomes
            }
            Err(error) => {
                let failed = |_| Published::Failed {
                    reason: error.to_string(),
                };
                batch.iter().map(failed).collect()
            }
        }
    }

    async fn consume(&self, subscription: Subscription, handler: Arc<dyn Handler>, stop: CancellationToken) {
        consumer::run(self, subscription, handler, stop).await;
    }

    async fn dead_letters(&self, queue: &str, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        Ok(queues::dead(&self.pool, queue, limit).await?)
    }

    async fn replay(&self, queue: &str, message_id: Uuid) -> Result<bool, Error> {
        let replayed = queues::revive(&self.pool, queue, message_id, self.clock.now()).await?;
        self.notify(queue);
        Ok(replayed)
    }

    async fn queue_stats(&self, queue: &str) -> Result<Option<QueueStats>, Error> {
        let consumers = *self.signal(queue).consumers.lock();
        Ok(queues::stats(&self.pool, queue, consumers, self.clock.now()).await?)
    }

    async fn pause(&self, queue: &str) -> Result<(), Error> {
        Ok(queues::set_paused(&self.pool, queue, true).await?)
    }

    async fn resume(&self, queue: &str) -> Result<(), Error> {
        queues::set_paused(&self.pool, queue, false).await?;
        self.notify(queue);
        Ok(())
    }
}

impl From<quartet_store::Error> for Error {
    fn from(error: quartet_store::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
