//! Messages per second from the outbox to the effect, side by side with lapin alone on the same broker.
//!
//! `TEST_RABBITMQ_URL=… TEST_POSTGRES_URL=… cargo run --release -p quartet-messaging --example throughput [messages] [rounds]`
//!
//! The bare side publishes with confirms, a hundred at a time, to a durable quorum queue, and consumes with the same prefetch and manual acks: what
//! any client has to do that loses nothing. The other side starts with committed rows of an outbox in PostgreSQL and ends with the handler.
//! Both sides alternate, so that a slow moment of the machine hits both.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measurement may panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::join_all;
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use quartet_clock::Clock;
use quartet_config::{Secret, Source};
use quartet_messaging::{
    Broker, Config, Handler, Message, Outcome, Queue, Rabbit, Relay, Subscription, outbox, schema,
};
use quartet_rpc::Deadline;
use quartet_store::Database;
use quartet_testkit::database;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const PREFETCH: u16 = 100;

/// Counts what it sees, and rings when it has seen all.
struct Count {
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

#[tokio::main]
async fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let messages = arguments.first().copied().unwrap_or(20_000);
    let rounds = arguments.get(1).copied().unwrap_or(3);
    let url = std::env::var("TEST_RABBITMQ_URL").expect("TEST_RABBITMQ_URL");
    let mut shares = Vec::new();
    for round in 1..=rounds {
        let bare = bare(&url, messages).await;
        let (whole, cpu) = whole(&url, messages).await;
        shares.push(whole / bare);
        println!(
            "round {round}: lapin alone {bare:.0}/s, outbox to effect {whole:.0}/s ({:.0} %), {cpu:.0} µs of CPU per message",
            100.0 * whole / bare
        );
    }
    shares.sort_by(f64::total_cmp);
    println!("median: {:.0} %", 100.0 * shares[shares.len() / 2]);
    delay(&url).await;
}

async fn bare(url: &str, messages: u64) -> f64 {
    let name = format!("bare.{}", uuid::Uuid::new_v4().simple());
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .queue_declare(name.as_str().into(), durable, arguments)
        .await
        .unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();

    let consuming = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let taking = consuming.create_channel().await.unwrap();
    taking.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
    let mut consumer = taking
        .basic_consume(
            name.as_str().into(),
            "bare".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();

    let count = Count::new(messages);
    let counted = count.clone();
    let begun = Instant::now();
    let task = tokio::spawn(async move {
        while let Some(Ok(delivery)) = consumer.next().await {
            counted.see();
            delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
    });
    let payload = [7u8; 200];
    let mut left = messages;
    while left > 0 {
        let batch = left.min(100);
        let sent = (0..batch).map(|_| async {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions {
                mandatory: true,
                ..Default::default()
            };
            channel
                .basic_publish("".into(), name.as_str().into(), options, &payload, properties)
                .await
                .unwrap()
                .await
                .unwrap();
        });
        join_all(sent).await;
        left -= batch;
    }
    count.all.notified().await;
    let rate = messages as f64 / begun.elapsed().as_secs_f64();
    task.abort();
    channel
        .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    rate
}

struct Stage {
    database: Database,
    pool: quartet_store::Postgres,
    broker: Arc<dyn Broker>,
    clock: Clock,
    queue: Queue,
    kind: String,
}

async fn stage(url: &str) -> Stage {
    let clock = Clock::system();
    let database = database::postgres().await.open().await;
    let Database::Postgres(pool) = &database else {
        unreachable!()
    };
    sqlx::raw_sql(schema::POSTGRES_UP).execute(pool.pool()).await.unwrap();
    let kind = format!("t{}.happened.v1", uuid::Uuid::new_v4().simple());
    let queue = Queue::events(&format!("{kind}.queue"), [kind.as_str()]);
    let broker: Arc<dyn Broker> =
        Arc::new(Rabbit::new(&Secret::new(url), "throughput", clock.clone(), Duration::from_secs(10)).unwrap());
    broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let pool = pool.clone();
    Stage {
        database,
        pool,
        broker,
        clock,
        queue,
        kind,
    }
}

async fn whole(url: &str, messages: u64) -> (f64, f64) {
    let stage = stage(url).await;
    let mut left = messages;
    while left > 0 {
        let batch = left.min(1_000);
        let said: Vec<Message> = (0..batch)
            .map(|_| {
                Message::event(
                    &stage.clock,
                    "/test",
                    &stage.kind,
                    stage.clock.new_id(),
                    &vec![7u8; 200],
                )
                .in_order()
            })
            .collect();
        let mut transaction = stage
            .pool
            .write(Deadline::after(Duration::from_secs(30)))
            .await
            .unwrap();
        outbox::append_all(&mut *transaction, &said).await.unwrap();
        transaction.commit().await.unwrap();
        left -= batch;
    }
    let count = Count::new(messages);
    let stop = CancellationToken::new();
    let relay = Relay::new(
        stage.database.clone(),
        stage.broker.clone(),
        stage.clock.clone(),
        Config::read(&Source::default()).unwrap(),
    );
    let subscription = Subscription::new("throughput", stage.queue.clone()).prefetching(PREFETCH);
    let (cpu, begun) = (cpu(), Instant::now());
    let consumer = {
        let (broker, stop, handler) = (stage.broker.clone(), stop.clone(), Arc::new(Counting(count.clone())));
        tokio::spawn(async move { broker.consume(subscription, handler, stop).await })
    };
    let relay = tokio::spawn(relay.run(stop.clone()));
    count.all.notified().await;
    let elapsed = begun.elapsed();
    let used = self::cpu() - cpu;
    stop.cancel();
    consumer.await.unwrap();
    relay.await.unwrap();
    (
        messages as f64 / elapsed.as_secs_f64(),
        used.as_secs_f64() * 1e6 / messages as f64,
    )
}

/// The time from commit to handler on a quiet system.
async fn delay(url: &str) {
    let stage = stage(url).await;
    let count = 200;
    let seen = Arc::new(Notify::new());
    struct Ring(Arc<Notify>);
    #[async_trait]
    impl Handler for Ring {
        async fn handle(&self, _: &Message) -> Outcome {
            self.0.notify_one();
            Outcome::Done
        }
    }
    let stop = CancellationToken::new();
    let relay = Relay::new(
        stage.database.clone(),
        stage.broker.clone(),
        stage.clock.clone(),
        Config::read(&Source::default()).unwrap(),
    );
    let wake = relay.wake();
    let relay = tokio::spawn(relay.run(stop.clone()));
    let consumer = {
        let (broker, stop, handler) = (stage.broker.clone(), stop.clone(), Arc::new(Ring(seen.clone())));
        let subscription = Subscription::new("delay", stage.queue.clone());
        tokio::spawn(async move { broker.consume(subscription, handler, stop).await })
    };
    let mut delays = Vec::new();
    for number in 0..count + 10 {
        let said = Message::event(&stage.clock, "/test", &stage.kind, number, &vec![7u8; 200]);
        let mut transaction = stage
            .pool
            .write(Deadline::after(Duration::from_secs(30)))
            .await
            .unwrap();
        outbox::append(&mut *transaction, &said).await.unwrap();
        transaction.commit().await.unwrap();
        let committed = Instant::now();
        wake.wake();
        seen.notified().await;
        // The first ones wait for connections.
        if number >= 10 {
            delays.push(committed.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    delays.sort();
    println!(
        "commit to effect: median {:.1?}, p99 {:.1?}",
        delays[delays.len() / 2],
        delays[delays.len() * 99 / 100]
    );
    stop.cancel();
    relay.await.unwrap();
    consumer.await.unwrap();
}

/// CPU time that this process has used (user and system), from `/proc/self/stat` in ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or_default()
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
