//! A service that publishes, a broker, and consumers, for one test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use quartet_clock::Clock;
use quartet_config::{Secret, Source};
use quartet_kernel::Deadline;
use quartet_messaging::{
    Broker, Config, Failure, Handler, Local, Message, Queue, Rabbit, Relay, Retry, Stats, Subscription, Wake,
};
use quartet_messaging::{inbox, outbox, schema};
use quartet_store::Database;
use quartet_telemetry::TraceContext;
use quartet_testkit::database::Fresh;
use sqlx::Connection;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::proxy::Proxy;

/// Which broker carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerKind {
    Local,
    Rabbit,
}

/// Everything that one test needs; nothing of it is seen by another.
pub(crate) struct Harness {
    pub(crate) broker_kind: BrokerKind,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) broker: Arc<dyn Broker>,
    name: String,
    folder: tempfile::TempDir,
    proxy: Option<Proxy>,
    _fresh: Fresh,
}

/// A relay or a consumer at work.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(CancellationToken) -> F) -> Self {
        let stop = CancellationToken::new();
        Self {
            task: tokio::spawn(run(stop.clone())),
            stop,
        }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends it at once, wherever it is.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl Harness {
    pub(crate) async fn new(broker_kind: BrokerKind, fresh: Fresh) -> Self {
        let clock = Clock::system();
        let database = fresh.open().await;
        let effects = "create table effects (
            consumer text not null, subject text not null, kind text not null, payload text not null)";
        match &database {
            Database::Postgres(database) => {
                sqlx::raw_sql(schema::OUTBOX.postgres.0)
                    .execute(database.pool())
                    .await
                    .unwrap();
                let effects = effects.replace("effects (", "effects (seq bigint generated always as identity, ");
                sqlx::raw_sql(sqlx::AssertSqlSafe(effects))
                    .execute(database.pool())
                    .await
                    .unwrap();
            }
            Database::Sqlite(database) => {
                sqlx::raw_sql(schema::OUTBOX.sqlite.0)
                    .execute(database.pool())
                    .await
                    .unwrap();
                let effects = effects.replace("effects (", "effects (seq integer primary key, ");
                sqlx::raw_sql(sqlx::AssertSqlSafe(effects))
                    .execute(database.pool())
                    .await
                    .unwrap();
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let name = format!("t{}", Uuid::new_v4().simple());
        let proxy = match broker_kind {
            BrokerKind::Local => None,
            BrokerKind::Rabbit => Some(Proxy::to(server().1).await),
        };
        Self {
            broker_kind,
            broker: broker(&folder, &clock, proxy.as_ref()).await,
            clock,
            database,
            name,
            folder,
            proxy,
            _fresh: fresh,
        }
    }

    /// The broker's client, or the broker within the process, as a restart of the process makes it.
    pub(crate) async fn restart(&mut self) {
        self.broker = broker(&self.folder, &self.clock, self.proxy.as_ref()).await;
    }

    /// The name of a queue that is this test's alone.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// A kind that is this test's alone.
    pub(crate) fn kind(&self, what: &str) -> String {
        format!("{}.{what}.v1", self.name)
    }

    /// A queue for these kinds, with quick retries.
    pub(crate) fn queue(&self, name: &str, kinds: &[&str]) -> Queue {
        let retry = Retry {
            steps: vec![Duration::from_millis(50), Duration::from_millis(100)],
            limit: 3,
        };
        Queue::events(&self.name(name), kinds.iter().map(|kind| self.kind(kind))).retried(retry)
    }

    /// An event of this kind.
    pub(crate) fn event(&self, kind: &str, subject: &str, text: &str) -> Message {
        Message::event(&self.clock, "/test", &self.kind(kind), subject, &text.to_owned())
    }

    /// Commits messages to the outbox.
    pub(crate) async fn publish(&self, messages: &[Message]) {
        let deadline = Deadline::after(Duration::from_secs(5));
        match &self.database {
            Database::Postgres(database) => {
                let mut transaction = database.write(deadline).await.unwrap();
                outbox::append_all(&mut *transaction, messages).await.unwrap();
                transaction.commit().await.unwrap();
            }
            Database::Sqlite(database) => {
                let mut transaction = database.write(deadline).await.unwrap();
                outbox::append_all(&mut *transaction, messages).await.unwrap();
                transaction.commit().await.unwrap();
            }
        }
    }

    pub(crate) fn settings(&self) -> Config {
        let settings = [
            ("RELAY_POLL_INTERVAL", "50ms"),
            ("MESSAGE_CONFIRM_TIMEOUT", "2s"),
            ("RELAY_LEASE", "4s"),
        ];
        Config::read(&Source::of(settings)).unwrap()
    }

    /// A relay of the outbox.
    pub(crate) fn relay(&self) -> Running {
        self.relay_with(self.settings()).0
    }

    pub(crate) fn relay_with(&self, settings: Config) -> (Running, Wake, Stats) {
        let relay = Relay::new(self.database.clone(), self.broker.clone(), self.clock.clone(), settings);
        let (wake, stats) = (relay.wake(), relay.stats());
        (Running::start(|stop| relay.run(stop)), wake, stats)
    }

    /// A consumer of a queue.
    pub(crate) fn consume(&self, queue: &Queue, handler: impl Handler + 'static) -> Running {
        self.subscribe(Subscription::new("test", queue.clone()), handler)
    }

    pub(crate) fn subscribe(&self, subscription: Subscription, handler: impl Handler + 'static) -> Running {
        let broker = self.broker.clone();
        Running::start(|stop| async move { broker.consume(subscription, Arc::new(handler), stop).await })
    }

    /// A handler that writes an effect, once per message, unless `before` fails.
    pub(crate) fn effect<B>(&self, consumer: &str, before: B) -> Effect
    where
        B: Fn(&Message, u32) -> Option<Failure> + Send + Sync + 'static,
    {
        Effect {
            database: self.database.clone(),
            clock: self.clock.clone(),
            consumer: consumer.to_owned(),
            calls: Arc::default(),
            before: Box::new(before),
            after: Box::new(|| Box::pin(async {})),
        }
    }

    /// The effects of a consumer, in order: subject and payload.
    pub(crate) async fn effects(&self, consumer: &str) -> Vec<(String, String)> {
        let sql = "select subject, payload from effects where consumer = $1 order by seq";
        match &self.database {
            Database::Postgres(database) => sqlx::query_as(sql)
                .bind(consumer)
                .fetch_all(database.pool())
                .await
                .unwrap(),
            Database::Sqlite(database) => sqlx::query_as(sql)
                .bind(consumer)
                .fetch_all(database.pool())
                .await
                .unwrap(),
        }
    }

    /// A number from the database.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        match &self.database {
            Database::Postgres(database) => sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap(),
            Database::Sqlite(database) => sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap(),
        }
    }

    /// Rows of the outbox that are not sent.
    pub(crate) async fn unsent(&self) -> i64 {
        self.number("select count(*) from outbox where sent_at is null").await
    }

    /// Waits until a consumer has this many effects, and some more for those that should not be.
    pub(crate) async fn settle(&self, consumer: &str, count: usize) -> Vec<(String, String)> {
        until(&format!("{count} effects of {consumer}"), async || {
            self.effects(consumer).await.len() >= count
        })
        .await;
        let effects = self.effects(consumer).await;
        assert_eq!(effects.len(), count, "effects of {consumer}");
        effects
    }

    /// Takes the broker away; it is back when the outage ends.
    pub(crate) async fn outage(&self) -> Outage {
        if let Some(proxy) = &self.proxy {
            return Outage::Rabbit(proxy.cut());
        }
        // Another writer has the file of the broker, for as long as it lives.
        let path = self.folder.path().join("broker.db");
        let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::raw_sql("begin immediate").execute(&mut connection).await.unwrap();
        Outage::Local(connection)
    }
}

/// While it lasts, the broker is away.
pub(crate) enum Outage {
    Local(sqlx::SqliteConnection),
    Rabbit(watch::Sender<bool>),
}

impl Outage {
    pub(crate) async fn end(self) {
        match self {
            Self::Local(connection) => connection.close().await.unwrap(),
            Self::Rabbit(cut) => drop(cut.send_replace(false)),
        }
    }
}

/// The test server: its URL, and its address alone.
fn server() -> (String, String) {
    let url = std::env::var("TEST_RABBITMQ_URL")
        .expect("TEST_RABBITMQ_URL is not set; `make test` starts a server and sets it");
    let address = url
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .expect("amqp://user:password@host:port/vhost");
    let address = address.to_owned();
    (url, address)
}

async fn broker(folder: &tempfile::TempDir, clock: &Clock, proxy: Option<&Proxy>) -> Arc<dyn Broker> {
    if let Some(proxy) = proxy {
        let (url, address) = server();
        let url = Secret::new(url.replace(&address, &proxy.address.to_string()));
        return Arc::new(Rabbit::new(&url, "test", clock.clone(), Duration::from_secs(5)).unwrap());
    }
    let config = quartet_store::Config::read(&Source::of([("DATABASE_ACQUIRE_TIMEOUT", "2s")])).unwrap();
    Arc::new(
        Local::open(&folder.path().join("broker.db"), &config, clock.clone())
            .await
            .unwrap(),
    )
}

type Before = Box<dyn Fn(&Message, u32) -> Option<Failure> + Send + Sync>;
type After = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Writes an effect and the inbox row in one transaction.
pub(crate) struct Effect {
    database: Database,
    clock: Clock,
    consumer: String,
    calls: Arc<AtomicU32>,
    before: Before,
    after: After,
}

impl Effect {
    /// How often it was called.
    pub(crate) fn calls(&self) -> Arc<AtomicU32> {
        self.calls.clone()
    }

    /// Does this after the commit, before the message is settled.
    pub(crate) fn then(self, after: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self {
            after: Box::new(after),
            ..self
        }
    }
}

#[async_trait]
impl Handler for Effect {
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(failure) = (self.before)(message, call) {
            return Err(failure);
        }
        let deadline = Deadline::after(Duration::from_secs(5));
        let insert = "insert into effects (consumer, subject, kind, payload) values ($1, $2, $3, $4)";
        macro_rules! commit {
            ($database:expr) => {{
                let mut transaction = $database.write(deadline).await.unwrap();
                let ids = [message.id];
                let first = inbox::first_times(&mut *transaction, &self.consumer, &ids, self.clock.now());
                if !first.await.unwrap().is_empty() {
                    sqlx::query(insert)
                        .bind(&self.consumer)
                        .bind(&message.subject)
                        .bind(&message.kind)
                        .bind(message.decode::<String>().unwrap())
                        .execute(&mut *transaction)
                        .await
                        .unwrap();
                    transaction.commit().await.unwrap();
                }
            }};
        }
        match &self.database {
            Database::Postgres(database) => commit!(database),
            Database::Sqlite(database) => commit!(database),
        }
        (self.after)().await;
        Ok(())
    }
}

/// Waits for a condition, for a bounded time.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let give_up = Deadline::after(Duration::from_secs(30));
    while !condition().await {
        assert!(!give_up.has_passed(), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A handler's failure that passes.
pub(crate) fn retry() -> Option<Failure> {
    Some(Failure::transient("not now"))
}

/// A place in a trace.
pub(crate) fn trace() -> Option<TraceContext> {
    let place = TraceContext::parse(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        Some("vendor=1"),
    );
    assert!(place.is_some());
    place
}
