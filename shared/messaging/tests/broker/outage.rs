//! The broker is away, and the store keeps what is said.

use std::time::Duration;

use crate::stage::{Stage, until};

crate::on_every_stage!(
    writes_go_on_while_the_broker_is_away_and_arrive_afterwards,
    the_lag_is_measured,
    rows_past_their_window_are_pruned,
);

async fn writes_go_on_while_the_broker_is_away_and_arrive_afterwards(stage: Stage) {
    let queue = stage.queue("q", &["made"]);
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let (_relay, wake, stats) = stage.relay_with(stage.settings());
    let _consumer = stage.consume(&queue, stage.effect("q", |_, _| None));
    stage.say(&[stage.event("made", "a", "before")]).await;
    stage.settle("q", 1).await;

    let outage = stage.outage().await;
    for number in 0..20 {
        stage.say(&[stage.event("made", "a", &number.to_string())]).await;
        wake.wake();
    }
    until("sending was tried", async || stats.snapshot().failed >= 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.unsent().await, 20);
    outage.end().await;

    stage.settle("q", 21).await;
    until("all are sent", async || stage.unsent().await == 0).await;
}

async fn the_lag_is_measured(stage: Stage) {
    let outage = stage.outage().await;
    stage
        .say(&[stage.event("made", "a", "1"), stage.event("made", "a", "2")])
        .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (_relay, _, stats) = stage.relay_with(stage.settings());
    until("the lag is known", async || {
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

async fn rows_past_their_window_are_pruned(stage: Stage) {
    let queue = stage.queue("q", &["made"]);
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let consumer = stage.consume(&queue, stage.effect("q", |_, _| None));
    let relay = stage.relay();
    stage.say(&[stage.event("made", "a", "1")]).await;
    stage.settle("q", 1).await;
    until("it is sent", async || stage.unsent().await == 0).await;
    relay.stop().await;
    consumer.stop().await;
    assert_eq!(
        stage
            .number("select (select count(*) from outbox) + (select count(*) from inbox)")
            .await,
        2
    );
    tokio::time::sleep(Duration::from_millis(5)).await;

    let settings = quartet_messaging::Config {
        outbox_retention: "1ms".parse().unwrap(),
        inbox_retention: "1ms".parse().unwrap(),
        ..stage.settings()
    };
    let (_relay, _, stats) = stage.relay_with(settings);

    until("both are pruned", async || stats.snapshot().pruned == 2).await;
    assert_eq!(
        stage
            .number("select (select count(*) from outbox) + (select count(*) from inbox)")
            .await,
        0
    );
}
