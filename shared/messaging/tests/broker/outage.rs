//! The broker is away, and the store keeps what is published.

use std::time::Duration;

use crate::harness::{Harness, until};

crate::on_every_harness!(
    writes_go_on_while_the_broker_is_away_and_arrive_afterwards,
    the_lag_is_measured,
    rows_past_their_window_are_pruned,
);

async fn writes_go_on_while_the_broker_is_away_and_arrive_afterwards(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let (_relay, wake, stats) = harness.relay_with(harness.settings());
    let _consumer = harness.consume(&queue, harness.effect("q", |_, _| None));
    harness.publish(&[harness.event("made", "a", "before")]).await;
    harness.settle("q", 1).await;

    let outage = harness.outage().await;
    for number in 0..20 {
        harness
            .publish(&[harness.event("made", "a", &number.to_string())])
            .await;
        wake.wake();
    }
    until("sending was tried", async || stats.snapshot().failed >= 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(harness.unsent().await, 20);
    outage.end().await;

    harness.settle("q", 21).await;
    until("all are sent", async || harness.unsent().await == 0).await;
}

async fn the_lag_is_measured(harness: Harness) {
    let outage = harness.outage().await;
    harness
        .publish(&[harness.event("made", "a", "1"), harness.event("made", "a", "2")])
        .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (_relay, _, stats) = harness.relay_with(harness.settings());
    until("the lag is measured", async || {
        let now = stats.snapshot();
        now.unsent == 2 && now.oldest_unsent >= Duration::from_millis(20)
    })
    .await;
    outage.end().await;
    until("the lag is gone", async || {
        stats.snapshot().unsent == 0 && stats.snapshot().oldest_unsent.is_zero()
    })
    .await;
}

async fn rows_past_their_window_are_pruned(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let consumer = harness.consume(&queue, harness.effect("q", |_, _| None));
    let relay = harness.relay();
    harness.publish(&[harness.event("made", "a", "1")]).await;
    harness.settle("q", 1).await;
    until("it is sent", async || harness.unsent().await == 0).await;
    relay.stop().await;
    consumer.stop().await;
    assert_eq!(
        harness
            .number("select (select count(*) from outbox) + (select count(*) from inbox)")
            .await,
        2
    );
    tokio::time::sleep(Duration::from_millis(5)).await;

    let settings = quartet_messaging::Config {
        outbox_retention: "1ms".parse().unwrap(),
        inbox_retention: "1ms".parse().unwrap(),
        ..harness.settings()
    };
    let (_relay, _, stats) = harness.relay_with(settings);

    until("both are pruned", async || stats.snapshot().pruned == 2).await;
    assert_eq!(
        harness
            .number("select (select count(*) from outbox) + (select count(*) from inbox)")
            .await,
        0
    );
}
