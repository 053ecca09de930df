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
use quartet_messaging::{
    Broker, Config, Consumer, Effects, Failure, Handler, Message, Publisher, Queue, Relay, Subscription, Unit, outbox,
};
use quartet_store::{Context, Database};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::Harness;
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

pub(crate) fn message(harness: &Harness) -> Message {
    let subject = harness.clock.new_id();
    Message {
        payload: vec![7u8; PAYLOAD].into(),
        ..Message::event(&harness.clock, "/test", &harness.kind, subject, &()).in_order()
    }
}

/// Commits so many messages to the outbox.
pub(crate) async fn append(harness: &Harness, messages: u64) {
    let messages: Vec<Message> = (0..messages).map(|_| message(harness)).collect();
    for messages in messages.chunks(1_000) {
        on!(&harness.database, |transaction| outbox::append_all(
            &mut *transaction,
            messages
        )
        .await
        .unwrap());
    }
}

/// Runs a relay until its outbox is sent.
pub(crate) async fn relay(harness: &Harness, broker: Arc<dyn Broker>) {
    let unsent = match &harness.database {
        Database::Postgres(pool) => {
            let count = sqlx::query_scalar::<_, i64>("select count(*) from outbox where sent_at is null");
            count.fetch_one(pool.pool()).await.unwrap()
        }
        Database::Sqlite(pool) => {
            let count = sqlx::query_scalar::<_, i64>("select count(*) from outbox where sent_at is null");
            count.fetch_one(pool.pool()).await.unwrap()
        }
    };
    let relay = relay_of(harness, broker);
    let (stats, stop) = (relay.stats(), CancellationToken::new());
    let relay = tokio::spawn(relay.run(stop.clone()));
    while stats.snapshot().sent < unsent as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.cancel();
    relay.await.unwrap();
}

pub(crate) fn relay_of(harness: &Harness, broker: Arc<dyn Broker>) -> Relay {
    let mut settings = Config::read(&Source::default()).unwrap();
    settings.relay_batch = (crate::IN_FLIGHT / 3) as u16;
    Relay::new(harness.database.clone(), broker, harness.clock.clone(), settings)
}

/// What a consumer does with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing: what the consumer itself costs.
    Nothing,
    /// A transaction for each.
    Each,
    /// A transaction for as many as have come together.
    Together,
}

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Each, Self::Together];

    /// How many of so many messages it is measured with: a transaction for each work long.
    pub(crate) fn of(self, messages: u64) -> u64 {
        match self {
            Self::Each => (messages / 4).max(1),
            Self::Nothing | Self::Together => messages,
        }
    }

    fn handler(self, harness: &Harness, count: Arc<Count>) -> Arc<dyn Handler> {
        let effects = || Effects::new(Insert::new(harness), harness.clock.clone());
        match self {
            Self::Nothing => Arc::new(Counting(count)),
            Self::Each => Arc::new(Seeing(effects().at_most(1), count)),
            Self::Together => Arc::new(Seeing(effects(), count)),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no effects",
            Self::Each => "effects one by one",
            Self::Together => "effects together",
        })
    }
}

/// Consumes so many messages.
pub(crate) async fn consume(harness: &Harness, messages: u64, work: Work) {
    let count = Count::new(messages);
    let stop = CancellationToken::new();
    let subscription = Subscription::new("throughput", harness.queue.clone()).prefetching(PREFETCH);
    let handler = work.handler(harness, count.clone());
    let consumer = {
        let (broker, stop) = (harness.broker.clone(), stop.clone());
        tokio::spawn(async move { broker.consume(subscription, handler, stop).await })
    };
    count.all.notified().await;
    stop.cancel();
    consumer.await.unwrap();
}

pub(crate) async fn both(harness: &Harness, messages: u64, work: Work) {
    tokio::join!(relay(harness, harness.broker.clone()), consume(harness, messages, work));
}

/// The transactions of the effects, as many at once as a consumer has in flight, without a broker.
pub(crate) async fn effects_alone(harness: &Harness, messages: u64, work: Work) {
    let handler = work.handler(harness, Count::new(messages));
    let messages: Vec<Message> = (0..messages).map(|_| message(harness)).collect();
    let batches: Vec<Vec<&Message>> = messages
        .chunks(handler.batch_size())
        .map(|batch| batch.iter().collect())
        .collect();
    let at_once = if work == Work::Together {
        2
    } else {
        usize::from(PREFETCH)
    };
    let batches = batches.into_iter().map(|batch| {
        let handler = &handler;
        async move {
            let outcomes = handler.handle_all(&batch).await;
            assert!(outcomes.len() == batch.len() && outcomes.iter().all(|outcome| outcome.is_ok()));
        }
    });
    let mut handled = futures::stream::iter(batches).buffer_unordered(at_once);
    while handled.next().await.is_some() {}
}

/// Counts what it sees, and notifies when it has seen all.
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
    async fn handle(&self, _: &Message) -> Result<(), Failure> {
        self.0.see();
        Ok(())
    }
}

/// Inserts a row for each message.
pub(crate) struct Insert {
    database: Database,
    publisher: Publisher,
}

impl Insert {
    pub(crate) fn new(harness: &Harness) -> Self {
        Self {
            database: harness.database.clone(),
            publisher: Publisher::detached(harness.clock.clone()),
        }
    }
}

#[async_trait]
impl Consumer for Insert {
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure> {
        macro_rules! consume {
            ($database:expr) => {{
                let mut unit = Unit::new($database, cx, &self.publisher);
                for message in unit.first_times("throughput", messages).await? {
                    sqlx::query("insert into effects (id, payload) values ($1, $2)")
                        .bind(message.id)
                        .bind(&message.payload[..])
                        .execute(unit.connection().await?)
                        .await
                        .map_err(quartet_store::Error::from)?;
                }
                Ok(unit.commit().await?)
            }};
        }
        match &self.database {
            Database::Postgres(database) => consume!(database),
            Database::Sqlite(database) => consume!(database),
        }
    }
}

/// Counts what another handler has done.
struct Seeing<H>(H, Arc<Count>);

#[async_trait]
impl<H: Handler> Handler for Seeing<H> {
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        let outcome = self.0.handle(message).await;
        self.1.see();
        outcome
    }

    fn batch_size(&self) -> usize {
        self.0.batch_size()
    }

    async fn handle_all(&self, messages: &[&Message]) -> Vec<Result<(), Failure>> {
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
