//! A store with outbox, inbox and effects, and a broker with one queue.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_config::{Secret, Source};
use quartet_messaging::{Broker, Local, Queue, Rabbit, schema};
use quartet_store::Database;
use quartet_testkit::database::{self, Fresh};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerKind {
    Rabbit,
    Local,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Postgres,
    Sqlite,
}

pub(crate) struct Harness {
    pub(crate) database: Database,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Clock,
    pub(crate) queue: Queue,
    pub(crate) kind: String,
    _store: Fresh,
    _folder: tempfile::TempDir,
}

impl Harness {
    pub(crate) async fn new(broker_kind: BrokerKind, store: Store) -> Self {
        let clock = Clock::system();
        let fresh = match store {
            Store::Postgres => database::postgres().await,
            Store::Sqlite => database::sqlite().await,
        };
        let database = fresh.open().await;
        match &database {
            Database::Postgres(pool) => {
                sqlx::raw_sql(schema::OUTBOX.postgres.0)
                    .execute(pool.pool())
                    .await
                    .unwrap();
                let effects = "create table effects (id uuid primary key, payload bytea not null)";
                sqlx::raw_sql(effects).execute(pool.pool()).await.unwrap();
            }
            Database::Sqlite(pool) => {
                sqlx::raw_sql(schema::OUTBOX.sqlite.0)
                    .execute(pool.pool())
                    .await
                    .unwrap();
                let effects = "create table effects (id blob primary key, payload blob not null) strict, without rowid";
                sqlx::raw_sql(effects).execute(pool.pool()).await.unwrap();
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let broker: Arc<dyn Broker> = match broker_kind {
            BrokerKind::Rabbit => {
                let url = Secret::new(std::env::var("TEST_RABBITMQ_URL").expect("TEST_RABBITMQ_URL"));
                Arc::new(Rabbit::new(&url, "throughput", clock.clone(), Duration::from_secs(10)).unwrap())
            }
            BrokerKind::Local => {
                let config = quartet_store::Config::read(&Source::default()).unwrap();
                Arc::new(
                    Local::open(&folder.path().join("broker.db"), &config, clock.clone())
                        .await
                        .unwrap(),
                )
            }
        };
        let kind = format!("t{}.happened.v1", uuid::Uuid::new_v4().simple());
        // As the queue of a service is: the events of one subject in order.
        let queue = Queue::events(&format!("{kind}.queue"), [kind.as_str()]).in_order();
        broker.declare(std::slice::from_ref(&queue)).await.unwrap();
        Self {
            database,
            broker,
            clock,
            queue,
            kind,
            _store: fresh,
            _folder: folder,
        }
    }
}

impl fmt::Display for BrokerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rabbit => "RabbitMQ",
            Self::Local => "in process",
        })
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        })
    }
}
