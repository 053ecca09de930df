//! Death between each two steps of relay and consumer: what was published arrives, and takes effect
//! once.
//!
//! A failpoint panics where the process would die; what was at work is then begun anew, as a
//! restart does.

#![cfg(feature = "failpoints")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and reads its own settings"
)]
#![expect(dead_code, reason = "the harness is shared with the suite of brokers")]

#[path = "broker/batched.rs"]
mod batched;
#[path = "broker/harness.rs"]
mod harness;
#[path = "broker/proxy.rs"]
mod proxy;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use batched::Batched;
use fail::FailScenario;

use harness::{BrokerKind, Harness, until};
use quartet_messaging::{Failure, Handler, Queue, Relay};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Failpoints belong to the process, so the tests of this file take turns.
static TURN: Mutex<()> = Mutex::const_new(());

const RELAY: [&str; 3] = ["relay-claimed", "relay-published", "relay-recorded"];

/// How a consumer handles its messages.
#[derive(Debug, Clone, Copy)]
enum Handling {
    OneByOne,
    Batched,
}

/// Dies at `point`, at the second time it is passed, and is begun anew; every message takes effect
/// once.
async fn survives(harness: &Arc<Harness>, queue: &Queue, point: &str, handling: Handling) {
    let scenario = FailScenario::setup();
    let consumer = format!("test at {point}, {handling:?}");
    harness.broker.declare(std::slice::from_ref(queue)).await.unwrap();
    let messages: Vec<_> = (0..30)
        .map(|number| harness.event(&format!("{point}-{handling:?}"), "a", &number.to_string()))
        .collect();
    fail::cfg(point, "1*off->1*panic->off").unwrap();

    let (broker, stop) = (harness.broker.clone(), CancellationToken::new());
    let relaying = {
        let (harness, stop) = (harness.clone(), stop.clone());
        tokio::spawn(async move {
            loop {
                let settings = quartet_messaging::Config {
                    relay_batch: 5,
                    ..harness.settings()
                };
                let settings = quartet_messaging::Config {
                    relay_lease: "1s".parse().unwrap(),
                    ..settings
                };
                let relay = Relay::new(
                    harness.database.clone(),
                    broker.clone(),
                    harness.clock.clone(),
                    settings,
                );
                // A task that dies by a failpoint is a process that died; the next round is its
                // restart.
                if tokio::spawn(relay.run(stop.clone())).await.is_ok() {
                    return;
                }
            }
        })
    };
    let consuming = {
        let (harness, stop, queue, consumer) = (harness.clone(), stop.clone(), queue.clone(), consumer.clone());
        tokio::spawn(async move {
            loop {
                let handler: Arc<dyn Handler> = match handling {
                    Handling::OneByOne => {
                        Arc::new(harness.effect(&consumer, |_, call| (call % 5 == 0).then(harness::retry).flatten()))
                    }
                    Handling::Batched => {
                        let calls = AtomicU32::new(0);
                        Arc::new(Batched::new(&harness, &consumer, move |_| {
                            match calls.fetch_add(1, Ordering::SeqCst) % 5 {
                                4 => Err(Failure::transient("not now")),
                                _ => Ok(()),
                            }
                        }))
                    }
                };
                let subscription = quartet_messaging::Subscription::new("test", queue.clone());
                let (broker, stop) = (harness.broker.clone(), stop.clone());
                let run = async move { broker.consume(subscription, handler, stop).await };
                if tokio::spawn(run).await.is_ok() {
                    return;
                }
            }
        })
    };
    harness.publish(&messages).await;

    harness.settle(&consumer, 30).await;
    until("all are sent", async || harness.unsent().await == 0).await;
    until("the queue is empty", async || {
        let stats = harness.broker.queue_stats(&queue.name).await.unwrap().unwrap();
        assert_eq!(stats.dead, 0, "{consumer}: a message was given up");
        (stats.ready, stats.delayed) == (0, 0)
    })
    .await;
    harness.settle(&consumer, 30).await;
    assert!(DIED.swap(false, Ordering::SeqCst), "{point} was never passed twice");
    stop.cancel();
    relaying.await.unwrap();
    consuming.await.unwrap();
    scenario.teardown();
}

/// Whether a failpoint has panicked since this was last read.
static DIED: AtomicBool = AtomicBool::new(false);

fn watch_deaths() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or_default();
            match text.starts_with("failpoint ") {
                true => DIED.store(true, Ordering::SeqCst),
                false => usual(panic),
            }
        }));
    });
}

async fn every_point(harness: Harness, consumer_points: &[&str]) {
    watch_deaths();
    let harness = Arc::new(harness);
    let _turn = TURN.lock().await;
    for handling in [Handling::OneByOne, Handling::Batched] {
        for point in RELAY.iter().chain(consumer_points) {
            let name = format!("{point}-{handling:?}");
            let mut queue = harness.queue(&name, &[&name]);
            queue.retry.steps = vec![Duration::from_millis(20)];
            // Which call fails is a matter of order, and none may fail so often that it is given up.
            queue.retry.limit = 20;
            survives(&harness, &queue, point, handling).await;
        }
    }
}

const LOCAL: [&str; 3] = ["local-received", "local-handled", "local-settled"];
const RABBIT: [&str; 3] = ["rabbit-received", "rabbit-handled", "rabbit-moved"];

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_within_the_process_over_sqlite() {
    every_point(
        Harness::new(BrokerKind::Local, quartet_testkit::database::sqlite().await).await,
        &LOCAL,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn the_broker_within_the_process_over_postgres() {
    every_point(
        Harness::new(BrokerKind::Local, quartet_testkit::database::postgres().await).await,
        &LOCAL,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: make test"]
async fn rabbitmq_over_sqlite() {
    every_point(
        Harness::new(BrokerKind::Rabbit, quartet_testkit::database::sqlite().await).await,
        &RABBIT,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and PostgreSQL: make test"]
async fn rabbitmq_over_postgres() {
    every_point(
        Harness::new(BrokerKind::Rabbit, quartet_testkit::database::postgres().await).await,
        &RABBIT,
    )
    .await;
}
