//! What becomes of messages that cannot take effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quartet_messaging::Failure;

use crate::harness::{Harness, retry, trace, until};

crate::on_every_harness!(
    a_poison_message_dies_without_stopping_its_neighbours,
    retries_end_in_a_dead_letter,
    a_replayed_dead_letter_takes_effect,
    dead_letters_and_retries_outlive_the_process,
    a_message_that_kills_its_consumer_every_time_is_a_dead_letter,
);

async fn a_poison_message_dies_without_stopping_its_neighbours(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let _relay = harness.relay();
    let _consumer = harness.consume(
        &queue,
        harness.effect("q", |message, _| {
            (message.subject == "poison").then(|| Failure::permanent("it is poison"))
        }),
    );
    let poison = harness.event("made", "poison", "2").traced(trace().as_ref());
    harness
        .publish(&[
            harness.event("made", "a", "1"),
            poison.clone(),
            harness.event("made", "b", "3"),
        ])
        .await;

    harness.settle("q", 2).await;
    until("a dead letter", async || {
        harness.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 1
    })
    .await;
    let letters = harness.broker.dead_letters(&queue.name, 10).await.unwrap();
    assert_eq!(letters[0].message, poison);
    assert_eq!((letters[0].reason.as_str(), letters[0].retries), ("it is poison", 0));
    assert_eq!(letters[0].queue, queue.name);
    assert!(letters[0].dead_since.is_some());
    until("its count", async || {
        harness.broker.queue_stats(&queue.name).await.unwrap().unwrap().dead == 1
    })
    .await;
}

async fn retries_end_in_a_dead_letter(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let _relay = harness.relay();
    let handler = harness.effect("q", |_, _| retry());
    let calls = handler.calls();
    let _consumer = harness.consume(&queue, handler);
    harness.publish(&[harness.event("made", "a", "1")]).await;

    until("a dead letter", async || {
        harness.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 1
    })
    .await;
    let letters = harness.broker.dead_letters(&queue.name, 10).await.unwrap();
    assert_eq!((letters[0].reason.as_str(), letters[0].retries), ("not now", 3));
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

async fn a_replayed_dead_letter_takes_effect(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let handler = harness.effect("q", move |_, _| {
        (!is_mended.load(Ordering::SeqCst)).then(|| Failure::permanent("broken"))
    });
    let _consumer = harness.consume(&queue, handler);
    let (one, two) = (harness.event("made", "a", "1"), harness.event("made", "b", "2"));
    harness.broker.publish(&[one.clone(), two.clone()]).await;
    until("two dead letters", async || {
        harness.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 2
    })
    .await;
    mended.store(true, Ordering::SeqCst);

    assert!(harness.broker.replay(&queue.name, two.id).await.unwrap());

    assert_eq!(harness.settle("q", 1).await, [("b".to_owned(), "2".to_owned())]);
    until("one is left", async || {
        let letters = harness.broker.dead_letters(&queue.name, 10).await.unwrap();
        letters.len() == 1 && letters[0].message.id == one.id
    })
    .await;
    assert!(
        !harness.broker.replay(&queue.name, two.id).await.unwrap(),
        "it is no dead letter any more"
    );
}

async fn dead_letters_and_retries_outlive_the_process(mut harness: Harness) {
    let mut queue = harness.queue("q", &["made"]);
    queue.retry.steps = vec![std::time::Duration::from_secs(1)];
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = harness.effect("q", |message, _| match message.subject.as_str() {
        "dead" => Some(Failure::permanent("broken")),
        _ => retry(),
    });
    let calls = handler.calls();
    let consumer = harness.consume(&queue, handler);
    harness
        .broker
        .publish(&[harness.event("made", "dead", "1"), harness.event("made", "later", "2")])
        .await;
    until("both are handled", async || calls.load(Ordering::SeqCst) == 2).await;
    consumer.stop().await;

    harness.restart().await;

    let _consumer = harness.consume(&queue, harness.effect("q", |_, _| None));
    assert_eq!(harness.settle("q", 1).await, [("later".to_owned(), "2".to_owned())]);
    let letters = harness.broker.dead_letters(&queue.name, 10).await.unwrap();
    assert_eq!(
        letters
            .iter()
            .map(|letter| letter.message.subject.as_str())
            .collect::<Vec<_>>(),
        ["dead"]
    );
}

async fn a_message_that_kills_its_consumer_every_time_is_a_dead_letter(harness: Harness) {
    let mut queue = harness.queue("q", &["made"]);
    queue.delivery_limit = 2;
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    harness.broker.publish(&[harness.event("made", "a", "1")]).await;
    for _ in 0..3 {
        let handler = harness
            .effect("q", |_, _| None)
            .then(|| Box::pin(std::future::pending()));
        let calls = handler.calls();
        let doomed = harness.consume(&queue, handler);
        until("it is delivered", async || calls.load(Ordering::SeqCst) == 1).await;
        doomed.kill().await;
    }

    let handler = harness.effect("q", |_, _| None);
    let calls = handler.calls();
    let _consumer = harness.consume(&queue, handler);

    until("a dead letter", async || {
        harness.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 1
    })
    .await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}
