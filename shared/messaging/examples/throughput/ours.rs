//! Relay and consumer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use quartet_config::Source;
use quartet_kernel::Deadline;
use quartet_messaging::broker::{DeadLetter, Error, Published, QueueStats};
use quartet_messaging::effects::{Effect, Effects, Failure, On};
use quartet_messaging::{Broker, Config, Handler, Message, Outcome, Queue, Relay, Subscription, outbox};
use quartet_store::Database;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stage::Stage;
use crate::{PAYLOAD, PREFETCH};

/// Runs `$act` on a transaction of the store at hand, and commits it.
macro_rules! on {
    ($database:expr, |$connection:ident| $act:expr) => {
        match $database {
            Database::Postgres(pool) => {
                let mut $connection = pool.write(Deadline::after(Duration::from_secs(30))).await.unwrap();
                $act;
                $connection.commit().await.unwrap();
            }
            Database::Sqlite(pool) => {
                let mut $connection = pool.write(Deadline::after(Duration::from_secs(30))).await.unwrap();
                $act;
                $connection.commit().await.unwrap();
            }
        }
    };
}

pub(crate) fn message(stage: &Stage) -> Message {
    let subject = stage.clock.new_id();
    Message {
        payload: vec![7u8; PAYLOAD].into(),
        ..Message::event(&stage.clock, "/test", &stage.kind, subject, &()).in_order()
    }
}

/// Commits so many messages to the outbox.
pub(crate) async fn say(stage: &Stage, messages: u64) {
    let said: Vec<Message> = (0..messages).map(|_| message(stage)).collect();
    for said in said.chunks(1_000) {
        on!(&stage.database, |transaction| outbox::append_all(
            &mut *transaction,
            said
        )
        .await
        .unwrap());
    }
}

/// Runs a relay until its outbox is sent.
pub(crate) async fn relay(stage: &Stage, broker: Arc<dyn Broker>) {
    let unsent = match &stage.database {
        Database::Postgres(pool) => {
            let count = sqlx::query_scalar::<_, i64>("select count(*) from outbox where sent_at is null");
            count.fetch_one(pool.pool()).await.unwrap()
        }
        Database::Sqlite(pool) => {
            let count = sqlx::query_scalar::<_, i64>("select count(*) from outbox where sent_at is null");
            count.fetch_one(pool.pool()).await.unwrap()
        }
    };
    let relay = relay_of(stage, broker);
    let (stats, stop) = (relay.stats(), CancellationToken::new());
    let relay = tokio::spawn(relay.run(stop.clone()));
    while stats.snapshot().sent < unsent as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.cancel();
    relay.await.unwrap();
}

pub(crate) fn relay_of(stage: &Stage, broker: Arc<dyn Broker>) -> Relay {
    let mut settings = Config::read(&Source::default()).unwrap();
    settings.relay_batch = (crate::UNDER_WAY / 3) as u16;
    Relay::new(stage.database.clone(), broker, stage.clock.clone(), settings)
}

/// What a consumer does with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing: what the consumer itself costs.
    Nothing,
    /// A transaction for each.
    Each,
    /// A transaction for as many as have come together.
    Together,
}

impl Takes {
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Each, Self::Together];

    /// How many of so many messages it is measured with: a transaction for each takes long.
    pub(crate) fn of(self, messages: u64) -> u64 {
        match self {
            Self::Each => (messages / 4).max(1),
            Self::Nothing | Self::Together => messages,
        }
    }

    fn handler(self, stage: &Stage, count: Arc<Count>) -> Arc<dyn Handler> {
        let (database, clock) = (stage.database.clone(), stage.clock.clone());
        match self {
            Self::Nothing => Arc::new(Counting(count)),
            Self::Each => Arc::new(Seeing(
                Effects::new("throughput", database, clock, Insert).at_most(1),
                count,
            )),
            Self::Together => Arc::new(Seeing(Effects::new("throughput", database, clock, Insert), count)),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no effects",
            Self::Each => "effects one by one",
            Self::Together => "effects together",
        })
    }
}

/// Takes so many messages.
pub(crate) async fn consume(stage: &Stage, messages: u64, takes: Takes) {
    let count = Count::new(messages);
    let stop = CancellationToken::new();
    let subscription = Subscription::new("throughput", stage.queue.clone()).prefetching(PREFETCH);
    let handler = takes.handler(stage, count.clone());
    let consumer = {
        let (broker, stop) = (stage.broker.clone(), stop.clone());
        tokio::spawn(async move { broker.consume(subscription, handler, stop).await })
    };
    count.all.notified().await;
    stop.cancel();
    consumer.await.unwrap();
}

pub(crate) async fn both(stage: &Stage, messages: u64, takes: Takes) {
    tokio::join!(relay(stage, stage.broker.clone()), consume(stage, messages, takes));
}

/// The transactions of the effects, as many at once as a consumer has in hand, without a broker.
pub(crate) async fn effects_alone(stage: &Stage, messages: u64, takes: Takes) {
    let handler = takes.handler(stage, Count::new(messages));
    let said: Vec<Message> = (0..messages).map(|_| message(stage)).collect();
    let batches: Vec<Vec<&Message>> = said
        .chunks(handler.together())
        .map(|batch| batch.iter().collect())
        .collect();
    let at_once = if takes == Takes::Together {
        2
    } else {
        usize::from(PREFETCH)
    };
    let batches = batches.into_iter().map(|batch| {
        let handler = &handler;
        async move {
            let outcomes = handler.handle_all(&batch).await;
            assert!(outcomes.len() == batch.len() && outcomes.iter().all(|outcome| *outcome == Outcome::Done));
        }
    });
    let mut handled = futures::stream::iter(batches).buffer_unordered(at_once);
    while handled.next().await.is_some() {}
}

/// Counts what it sees, and rings when it has seen all.
pub(crate) struct Count {
    seen: AtomicU64,
    expected: u64,
    all: Notify,
}

impl Count {
    fn new(expected: u64) -> Arc<Self> {
        Arc::new(Self {
            seen: AtomicU64::new(0),
            expected,
            all: Notify::new(),
        })
    }

    fn see(&self) {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.expected {
            self.all.notify_one();
        }
    }
}

struct Counting(Arc<Count>);

#[async_trait]
impl Handler for Counting {
    async fn handle(&self, _: &Message) -> Outcome {
        self.0.see();
        Outcome::Done
    }
}

/// Inserts a row.
pub(crate) struct Insert;

#[async_trait]
impl Effect for Insert {
    async fn apply(&self, on: On<'_>, message: &Message) -> Result<(), Failure> {
        let sql = "insert into effects (id, payload) values ($1, $2)";
        match on {
            On::Postgres(connection) => {
                let insert = sqlx::query(sql).bind(message.id).bind(&message.payload[..]);
                insert.execute(connection).await.map_err(quartet_store::Error::from)?;
            }
            On::Sqlite(connection) => {
                let insert = sqlx::query(sql).bind(message.id).bind(&message.payload[..]);
                insert.execute(connection).await.map_err(quartet_store::Error::from)?;
            }
        }
        Ok(())
    }
}

/// Counts what another handler has done.
struct Seeing<H>(H, Arc<Count>);

#[async_trait]
impl<H: Handler> Handler for Seeing<H> {
    async fn handle(&self, message: &Message) -> Outcome {
        let outcome = self.0.handle(message).await;
        self.1.see();
        outcome
    }

    fn together(&self) -> usize {
        self.0.together()
    }

    async fn handle_all(&self, messages: &[&Message]) -> Vec<Outcome> {
        let outcomes = self.0.handle_all(messages).await;
        outcomes.iter().for_each(|_| self.1.see());
        outcomes
    }
}

/// Confirms everything at once and keeps nothing.
pub(crate) fn nowhere() -> Arc<dyn Broker> {
    Arc::new(Nowhere)
}

struct Nowhere;

#[async_trait]
impl Broker for Nowhere {
    async fn declare(&self, _: &[Queue]) -> Result<(), Error> {
        Ok(())
    }

    async fn publish(&self, batch: &[Message]) -> Vec<Published> {
        vec![Published::Confirmed; batch.len()]
    }

    async fn consume(&self, _: Subscription, _: Arc<dyn Handler>, stop: CancellationToken) {
        stop.cancelled().await;
    }

    async fn dead_letters(&self, _: &str, _: u32) -> Result<Vec<DeadLetter>, Error> {
        Ok(Vec::new())
    }

    async fn replay(&self, _: &str, _: Uuid) -> Result<bool, Error> {
        Ok(false)
    }

    async fn queue_stats(&self, _: &str) -> Result<Option<QueueStats>, Error> {
        Ok(None)
    }

    async fn pause(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    async fn resume(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}
