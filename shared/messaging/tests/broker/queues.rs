//! Routes, pauses and counts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quartet_messaging::broker::Published;
use quartet_messaging::{Message, Priority, Queue};

use crate::stage::{Stage, until};

crate::on_every_stage!(
    an_event_that_nobody_takes_counts_as_sent,
    work_without_a_queue_waits_in_the_outbox,
    work_goes_to_the_queue_of_its_priority,
    a_paused_queue_hands_out_nothing_until_it_is_resumed,
    a_queue_that_is_not_there_has_no_stats,
    a_stopped_consumer_finishes_what_it_has_in_hand,
);

fn work(stage: &Stage, queue: &str, priority: Priority) -> Message {
    let (queue, kind) = (stage.name(queue), stage.kind("work"));
    Message::work(
        &stage.clock,
        "/test",
        &queue,
        priority,
        &kind,
        "job",
        &"do it".to_owned(),
    )
}

async fn an_event_that_nobody_takes_counts_as_sent(stage: Stage) {
    let _relay = stage.relay();
    stage.say(&[stage.event("unheard", "a", "1")]).await;
    until("it is sent", async || stage.unsent().await == 0).await;
}

async fn work_without_a_queue_waits_in_the_outbox(stage: Stage) {
    let message = work(&stage, "none", Priority::Normal);
    assert_eq!(
        stage.broker.publish(std::slice::from_ref(&message)).await,
        [Published::Unroutable]
    );
    let (_relay, _, stats) = stage.relay_with(stage.settings());
    stage.say(&[message, stage.event("unheard", "a", "1")]).await;
    until("it was tried, and the other one is sent", async || {
        stats.snapshot().unroutable >= 1 && stage.unsent().await == 1
    })
    .await;

    let queue = Queue::work(&stage.name("none"), Priority::Normal);
    let _consumer = stage.consume(&queue, stage.effect("none", |_, _| None));

    stage.settle("none", 1).await;
}

async fn work_goes_to_the_queue_of_its_priority(stage: Stage) {
    let queues = Priority::ALL.map(|priority| Queue::work(&stage.name("work"), priority));
    stage.broker.declare(&queues).await.unwrap();
    let outcomes = stage
        .broker
        .publish(&[
            work(&stage, "work", Priority::High),
            work(&stage, "work", Priority::Low),
        ])
        .await;
    assert_eq!(outcomes, [Published::Confirmed, Published::Confirmed]);
    let mut ready = Vec::new();
    for queue in &queues {
        until("what was published is counted", async || {
            let ready = stage.broker.queue_stats(&queue.name).await.unwrap().unwrap().ready;
            ready == u64::from(!queue.name.ends_with("normal"))
        })
        .await;
        ready.push(stage.broker.queue_stats(&queue.name).await.unwrap().unwrap().ready);
    }
    assert_eq!(ready, [1, 0, 1]);
}

async fn a_paused_queue_hands_out_nothing_until_it_is_resumed(stage: Stage) {
    let queue = stage.queue("q", &["made"]);
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = stage.effect("q", |_, _| None);
    let calls = handler.calls();
    let _consumer = stage.consume(&queue, handler);
    until("it is consumed", async || {
        stage.broker.queue_stats(&queue.name).await.unwrap().unwrap().consumers == 1
    })
    .await;

    stage.broker.pause(&queue.name).await.unwrap();
    until("the pause has come through", async || {
        let stats = stage.broker.queue_stats(&queue.name).await.unwrap().unwrap();
        stats.paused && (stats.consumers == 0 || matches!(stage.carrier, crate::stage::Carrier::Local))
    })
    .await;
    stage.broker.publish(&[stage.event("made", "a", "1")]).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);

    stage.broker.resume(&queue.name).await.unwrap();

    stage.settle("q", 1).await;
    assert!(!stage.broker.queue_stats(&queue.name).await.unwrap().unwrap().paused);
}

async fn a_queue_that_is_not_there_has_no_stats(stage: Stage) {
    assert_eq!(stage.broker.queue_stats(&stage.name("none")).await.unwrap(), None);
}

async fn a_stopped_consumer_finishes_what_it_has_in_hand(stage: Stage) {
    let queue = stage.queue("q", &["made"]);
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = stage
        .effect("q", |_, _| None)
        .then(|| Box::pin(tokio::time::sleep(Duration::from_millis(300))));
    let calls = handler.calls();
    let consumer = stage.consume(&queue, handler);
    stage.broker.publish(&[stage.event("made", "a", "1")]).await;
    until("it is handed out", async || calls.load(Ordering::SeqCst) == 1).await;

    consumer.stop().await;

    until("the queue is empty", async || {
        stage.broker.queue_stats(&queue.name).await.unwrap().unwrap().ready == 0
    })
    .await;
    let handler = stage.effect("q", |_, _| None);
    let calls = handler.calls();
    let consumer = stage.consume(&queue, handler);
    stage.broker.publish(&[stage.event("made", "b", "2")]).await;
    stage.settle("q", 2).await;
    consumer.stop().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1, "the first one was settled");
}
