//! The time from commit to effect on a quiet system.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_messaging::{Effects, Failure, Handler, Message, Subscription, outbox};
use quartet_store::Database;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::harness::{BrokerKind, Harness, Store};
use crate::ours;

/// Messages before those that count: the first ones wait for connections.
const FIRST: u64 = 10;

/// Does its effect, and reports when it is committed.
struct Reporting {
    effects: Effects<ours::Insert>,
    done: mpsc::UnboundedSender<Instant>,
}

#[async_trait]
impl Handler for Reporting {
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        let outcome = self.effects.handle(message).await;
        self.done.send(Instant::now()).unwrap();
        outcome
    }
}

/// The row of the table, over `count` messages.
pub(crate) async fn measure(broker_kind: BrokerKind, store: Store, count: u64) -> String {
    let harness = Harness::new(broker_kind, store).await;
    let stop = CancellationToken::new();
    let relay = ours::relay_of(&harness, harness.broker.clone());
    let wake = relay.wake();
    let relay = tokio::spawn(relay.run(stop.clone()));
    let (done, mut effects) = mpsc::unbounded_channel();
    let handler = Arc::new(Reporting {
        effects: Effects::new(ours::Insert::new(&harness), harness.clock.clone()),
        done,
    });
    let consumer = {
        let (broker, stop) = (harness.broker.clone(), stop.clone());
        let subscription = Subscription::new("delay", harness.queue.clone());
        tokio::spawn(async move { broker.consume(subscription, handler, stop).await })
    };
    let mut delays = Vec::new();
    for number in 0..count + FIRST {
        let messages = [ours::message(&harness)];
        let deadline = Deadline::after(Duration::from_secs(30));
        match &harness.database {
            Database::Postgres(pool) => {
                let mut transaction = pool.write(deadline).await.unwrap();
                outbox::append_all(&mut *transaction, &messages).await.unwrap();
                transaction.commit().await.unwrap();
            }
            Database::Sqlite(pool) => {
                let mut transaction = pool.write(deadline).await.unwrap();
                outbox::append_all(&mut *transaction, &messages).await.unwrap();
                transaction.commit().await.unwrap();
            }
        }
        let committed = Instant::now();
        wake.wake();
        let done = effects.recv().await.unwrap();
        if number >= FIRST {
            delays.push(done - committed);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    delays.sort();
    stop.cancel();
    relay.await.unwrap();
    consumer.await.unwrap();
    let milliseconds = |delay: Duration| delay.as_secs_f64() * 1e3;
    format!(
        "| {broker_kind}, {store} | {:.1} ms | {:.1} ms |",
        milliseconds(delays[delays.len() / 2]),
        milliseconds(delays[delays.len() * 99 / 100])
    )
}
