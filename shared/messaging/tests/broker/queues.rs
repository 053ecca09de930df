//! Routes, pauses and counts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quartet_messaging::broker::Published;
use quartet_messaging::{Message, Priority, Queue};

use crate::harness::{Harness, until};

crate::on_every_harness!(
    an_event_that_no_queue_accepts_counts_as_sent,
    work_without_a_queue_waits_in_the_outbox,
    work_goes_to_the_queue_of_its_priority,
    a_paused_queue_delivers_nothing_until_it_is_resumed,
    a_queue_that_is_not_there_has_no_stats,
    a_stopped_consumer_finishes_what_it_has_in_flight,
);

fn work(harness: &Harness, queue: &str, priority: Priority) -> Message {
    let (queue, kind) = (harness.name(queue), harness.kind("work"));
    Message::work(
        &harness.clock,
        "/test",
        &queue,
        priority,
        &kind,
        "job",
        &"do it".to_owned(),
    )
}

async fn an_event_that_no_queue_accepts_counts_as_sent(harness: Harness) {
    let _relay = harness.relay();
    harness.publish(&[harness.event("unrouted", "a", "1")]).await;
    until("it is sent", async || harness.unsent().await == 0).await;
}

async fn work_without_a_queue_waits_in_the_outbox(harness: Harness) {
    let message = work(&harness, "none", Priority::Normal);
    assert_eq!(
        harness.broker.publish(std::slice::from_ref(&message)).await,
        [Published::Unroutable]
    );
    let (_relay, _, stats) = harness.relay_with(harness.settings());
    harness.publish(&[message, harness.event("unrouted", "a", "1")]).await;
    until("it was tried, and the other one is sent", async || {
        stats.snapshot().unroutable >= 1 && harness.unsent().await == 1
    })
    .await;

    let queue = Queue::work(&harness.name("none"), Priority::Normal);
    let _consumer = harness.consume(&queue, harness.effect("none", |_, _| None));

    harness.settle("none", 1).await;
}

async fn work_goes_to_the_queue_of_its_priority(harness: Harness) {
    let queues = Priority::ALL.map(|priority| Queue::work(&harness.name("work"), priority));
    harness.broker.declare(&queues).await.unwrap();
    let outcomes = harness
        .broker
        .publish(&[
            work(&harness, "work", Priority::High),
            work(&harness, "work", Priority::Low),
        ])
        .await;
    assert_eq!(outcomes, [Published::Confirmed, Published::Confirmed]);
    let mut ready = Vec::new();
    for queue in &queues {
        until("what was published is counted", async || {
            let ready = harness.broker.queue_stats(&queue.name).await.unwrap().unwrap().ready;
            ready == u64::from(!queue.name.ends_with("normal"))
        })
        .await;
        ready.push(harness.broker.queue_stats(&queue.name).await.unwrap().unwrap().ready);
    }
    assert_eq!(ready, [1, 0, 1]);
}

async fn a_paused_queue_delivers_nothing_until_it_is_resumed(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = harness.effect("q", |_, _| None);
    let calls = handler.calls();
    let _consumer = harness.consume(&queue, handler);
    until("it is consumed", async || {
        harness
            .broker
            .queue_stats(&queue.name)
            .await
            .unwrap()
            .unwrap()
            .consumers
            == 1
    })
    .await;

    harness.broker.pause(&queue.name).await.unwrap();
    until("the pause has come through", async || {
        let stats = harness.broker.queue_stats(&queue.name).await.unwrap().unwrap();
        stats.paused && (stats.consumers == 0 || matches!(harness.broker_kind, crate::harness::BrokerKind::Local))
    })
    .await;
    harness.broker.publish(&[harness.event("made", "a", "1")]).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);

    harness.broker.resume(&queue.name).await.unwrap();

    harness.settle("q", 1).await;
    assert!(!harness.broker.queue_stats(&queue.name).await.unwrap().unwrap().paused);
}

async fn a_queue_that_is_not_there_has_no_stats(harness: Harness) {
    assert_eq!(harness.broker.queue_stats(&harness.name("none")).await.unwrap(), None);
}

async fn a_stopped_consumer_finishes_what_it_has_in_flight(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = harness
        .effect("q", |_, _| None)
        .then(|| Box::pin(tokio::time::sleep(Duration::from_millis(300))));
    let calls = handler.calls();
    let consumer = harness.consume(&queue, handler);
    harness.broker.publish(&[harness.event("made", "a", "1")]).await;
    until("it is delivered", async || calls.load(Ordering::SeqCst) == 1).await;

    consumer.stop().await;

    until("the queue is empty", async || {
        harness.broker.queue_stats(&queue.name).await.unwrap().unwrap().ready == 0
    })
    .await;
    let handler = harness.effect("q", |_, _| None);
    let calls = handler.calls();
    let consumer = harness.consume(&queue, handler);
    harness.broker.publish(&[harness.event("made", "b", "2")]).await;
    harness.settle("q", 2).await;
    consumer.stop().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1, "the first one was settled");
}
