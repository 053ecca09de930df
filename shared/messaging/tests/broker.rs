//! What every broker promises, held to by one suite over both brokers and both databases.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and reads its own settings"
)]

#[path = "broker/dead_letters.rs"]
mod dead_letters;
#[path = "broker/delivery.rs"]
mod delivery;
#[path = "broker/noting.rs"]
mod noting;
#[path = "broker/outage.rs"]
mod outage;
#[path = "broker/proxy.rs"]
mod proxy;
#[path = "broker/queues.rs"]
mod queues;
#[path = "broker/stage.rs"]
mod stage;
#[path = "broker/together.rs"]
mod together;

/// Runs each of these `async fn(Stage)` over every broker and database.
macro_rules! on_every_stage {
    ($($name:ident),* $(,)?) => {
        mod local_over_sqlite {
            use crate::stage::{Stage, Carrier};
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::$name(Stage::new(Carrier::Local, quartet_testkit::database::sqlite().await).await).await;
            })*
        }
        mod rabbitmq_over_sqlite {
            use crate::stage::{Stage, Carrier};
            $(#[tokio::test(flavor = "multi_thread")] #[ignore = "needs RabbitMQ: make test"] async fn $name() {
                super::$name(Stage::new(Carrier::Rabbit, quartet_testkit::database::sqlite().await).await).await;
            })*
        }
        mod rabbitmq_over_postgres {
            use crate::stage::{Stage, Carrier};
            $(#[tokio::test(flavor = "multi_thread")] #[ignore = "needs RabbitMQ and PostgreSQL: make test"] async fn $name() {
                super::$name(Stage::new(Carrier::Rabbit, quartet_testkit::database::postgres().await).await).await;
            })*
        }
        mod local_over_postgres {
            use crate::stage::{Stage, Carrier};
            $(#[tokio::test(flavor = "multi_thread")] #[ignore = "needs PostgreSQL: make test"] async fn $name() {
                super::$name(Stage::new(Carrier::Local, quartet_testkit::database::postgres().await).await).await;
            })*
        }
    };
}
pub(crate) use on_every_stage;
