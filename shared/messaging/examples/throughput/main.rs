//! What publishing and consuming messages costs, side by side with lapin alone on the same broker.
//!
//! `TEST_POSTGRES_DURABLE=1 scripts/with-servers.sh cargo run --release -p quartet-messaging --example throughput [messages] [rounds] [delays]`
//!
//! The bare side does what any client has to do that loses nothing: persistent messages of the same payload to a durable quorum queue, confirms with
//! the same number of messages in flight, the same prefetch, acknowledgements that do not wait for one another. Ours starts with committed rows of an
//! outbox and ends with a committed effect. The sides take turns in every round, so that a slow minute of the machine hits all of them; a share is
//! the median over the rounds of ours over the bare one of the same round.
//!
//! Two things are not ours to save, and have rows of their own: lapin with the headers and the exchange of ours, which is what the broker costs for
//! such a message; and each side of ours without a broker, which is what the store costs. The CPU of all three processes shows the rest, also on a
//! machine that has other things to do.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measurement may panic"
)]

use std::sync::Arc;

mod bare;
mod cost;
mod delay;
mod harness;
mod ours;
mod servers;

use cost::Table;
use harness::{BrokerKind, Harness, Store};
use ours::Work;
use servers::Servers;

/// Bytes of a payload.
const PAYLOAD: usize = 200;
/// Messages in flight of a consumer at once.
const PREFETCH: u16 = 100;
/// Messages in flight to the broker at once: as many as a relay has with its usual settings.
const IN_FLIGHT: usize = 300;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, usual: u64| {
        let argument = arguments.get(index).map(|text| text.parse().expect("a number"));
        argument.unwrap_or(usual)
    };
    let (messages, rounds, delays) = (number(0, 20_000), number(1, 3), number(2, 500));
    let url = std::env::var("TEST_RABBITMQ_URL").expect("TEST_RABBITMQ_URL");

    let mut table = Table::new(Servers::find().await);
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        bare(&mut table, &url, messages).await;
        for store in [Store::Postgres, Store::Sqlite] {
            with_broker(&mut table, BrokerKind::Rabbit, store, messages).await;
            without_broker(&mut table, store, messages).await;
        }
        with_broker(&mut table, BrokerKind::Local, Store::Sqlite, messages).await;
    }
    println!("{messages} messages of {PAYLOAD} bytes, {rounds} rounds, medians\n\n{table}");
    if delays > 0 {
        println!("| commit to effect, one message every 50 ms | median | p99 |\n| --- | ---: | ---: |");
        for (broker_kind, store) in [
            (BrokerKind::Rabbit, Store::Postgres),
            (BrokerKind::Rabbit, Store::Sqlite),
            (BrokerKind::Local, Store::Sqlite),
        ] {
            println!("{}", delay::measure(broker_kind, store, delays).await);
        }
    }
}

async fn bare(table: &mut Table, url: &str, messages: u64) {
    for (alike, who) in [
        (false, "lapin alone"),
        (true, "lapin alone, with our headers and exchange"),
    ] {
        let bare = Arc::new(bare::Bare::new(url, alike).await);
        table.add("publish", who, messages, bare.publish(messages)).await;
        table.add("consume", who, messages, bare.consume(messages)).await;
        table.add("both at once", who, messages, bare.both(messages)).await;
        bare.end().await;
    }
}

async fn with_broker(table: &mut Table, broker_kind: BrokerKind, store: Store, messages: u64) {
    let harness = Harness::new(broker_kind, store).await;
    ours::append(&harness, messages).await;
    let row = format!("relay ({broker_kind}, {store})");
    let relay = ours::relay(&harness, harness.broker.clone());
    table.add("publish", &row, messages, relay).await;
    for work in Work::ALL {
        // The effects take long enough for fewer of them.
        let messages = work.of(messages);
        if work != Work::Nothing {
            ours::append(&harness, messages).await;
            ours::relay(&harness, harness.broker.clone()).await;
        }
        let row = format!("consumer, {work} ({broker_kind}, {store})");
        table
            .add("consume", &row, messages, ours::consume(&harness, messages, work))
            .await;
        ours::append(&harness, messages).await;
        let row = format!("relay and consumer, {work} ({broker_kind}, {store})");
        table
            .add("both at once", &row, messages, ours::both(&harness, messages, work))
            .await;
    }
}

async fn without_broker(table: &mut Table, store: Store, messages: u64) {
    let harness = Harness::new(BrokerKind::Local, store).await;
    ours::append(&harness, messages).await;
    let row = format!("no broker: the relay's statements ({store})");
    let relay = ours::relay(&harness, ours::nowhere());
    table.add("publish", &row, messages, relay).await;
    for work in [Work::Each, Work::Together] {
        let messages = work.of(messages);
        let row = format!("no broker: the transactions, {work} ({store})");
        table
            .add("consume", &row, messages, ours::effects_alone(&harness, messages, work))
            .await;
    }
}
