//! What every broker promises, held to by one suite over both brokers and both databases.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and reads its own settings"
)]

#[path = "broker/batched.rs"]
mod batched;
#[path = "broker/batches.rs"]
mod batches;
#[path = "broker/dead_letters.rs"]
mod dead_letters;
#[path = "broker/delivery.rs"]
mod delivery;
#[path = "broker/harness.rs"]
mod harness;
#[path = "broker/outage.rs"]
mod outage;
#[path = "broker/proxy.rs"]
mod proxy;
#[path = "broker/queues.rs"]
mod queues;

/// Runs each of these `async fn(Harness)` over every broker and database.
macro_rules! on_every_harness {
    ($($name:ident),* $(,)?) => {
        mod local_over_sqlite {
            use crate::harness::{Harness, BrokerKind};
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::$name(Harness::new(BrokerKind::Local, quartet_testkit::database::sqlite().await).await).await;
            })*
        }
        mod rabbitmq_over_sqlite {
            use crate::harness::{Harness, BrokerKind};
            $(#[tokio::test(flavor = "multi_thread")] #[ignore = "needs RabbitMQ: make test"] async fn $name() {
                super::$name(Harness::new(BrokerKind::Rabbit, quartet_testkit::database::sqlite().await).await).await;
            })*
        }
        mod rabbitmq_over_postgres {
            use crate::harness::{Harness, BrokerKind};
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs RabbitMQ and PostgreSQL: make test"]
            async fn $name() {
                super::$name(Harness::new(BrokerKind::Rabbit, quartet_testkit::database::postgres().await).await).await;
            })*
        }
        mod local_over_postgres {
            use crate::harness::{Harness, BrokerKind};
            $(#[tokio::test(flavor = "multi_thread")] #[ignore = "needs PostgreSQL: make test"] async fn $name() {
                super::$name(Harness::new(BrokerKind::Local, quartet_testkit::database::postgres().await).await).await;
            })*
        }
    };
}
pub(crate) use on_every_harness;
