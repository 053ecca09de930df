//! What becomes of messages that cannot take effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quartet_messaging::Outcome;

use crate::stage::{Stage, retry, until};

crate::on_every_stage!(
    a_poison_message_dies_without_stopping_its_neighbours,
    retries_end_in_a_dead_letter,
    a_replayed_dead_letter_takes_effect,
    dead_letters_and_retries_outlive_the_process,
    a_message_that_kills_its_consumer_every_time_is_a_dead_letter,
);

async fn a_poison_message_dies_without_stopping_its_neighbours(stage: Stage) {
    let queue = stage.queue("q", &["made"]);
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let _relay = stage.relay();
    let _consumer = stage.consume(
        &queue,
        stage.effect("q", |message, _| {
            (message.subject == "poison").then(|| Outcome::Dead {
                reason: "it is poison".into(),
            })
        }),
    );
    let poison = stage
        .event("made", "poison", "2")
        .traced(Some("00-parent".into()), Some("vendor=1".into()));
    stage
        .say(&[
            stage.event("made", "a", "1"),
            poison.clone(),
            stage.event("made", "b", "3"),
        ])
        .await;

    stage.settle("q", 2).await;
    until("a dead letter", async || {
        stage.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 1
    })
    .await;
    let letters = stage.broker.dead_letters(&queue.name, 10).await.unwrap();
    assert_eq!(letters[0].message, poison);
    assert_eq!((letters[0].reason.as_str(), letters[0].retries), ("it is poison", 0));
    assert_eq!(letters[0].queue, queue.name);
    assert!(letters[0].dead_since.is_some());
    until("its count", async || {
        stage.broker.queue_stats(&queue.name).await.unwrap().unwrap().dead == 1
    })
    .await;
}

async fn retries_end_in_a_dead_letter(stage: Stage) {
    let queue = stage.queue("q", &["made"]);
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let _relay = stage.relay();
    let handler = stage.effect("q", |_, _| retry());
    let calls = handler.calls();
    let _consumer = stage.consume(&queue, handler);
    stage.say(&[stage.event("made", "a", "1")]).await;

    until("a dead letter", async || {
        stage.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 1
    })
    .await;
    let letters = stage.broker.dead_letters(&queue.name, 10).await.unwrap();
    assert_eq!((letters[0].reason.as_str(), letters[0].retries), ("not now", 3));
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

async fn a_replayed_dead_letter_takes_effect(stage: Stage) {
    let queue = stage.queue("q", &["made"]);
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let handler = stage.effect("q", move |_, _| {
        (!is_mended.load(Ordering::SeqCst)).then(|| Outcome::Dead {
            reason: "broken".into(),
        })
    });
    let _consumer = stage.consume(&queue, handler);
    let (one, two) = (stage.event("made", "a", "1"), stage.event("made", "b", "2"));
    stage.broker.publish(&[one.clone(), two.clone()]).await;
    until("two dead letters", async || {
        stage.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 2
    })
    .await;
    mended.store(true, Ordering::SeqCst);

    assert!(stage.broker.replay(&queue.name, two.id).await.unwrap());

    assert_eq!(stage.settle("q", 1).await, [("b".to_owned(), "2".to_owned())]);
    until("one is left", async || {
        let letters = stage.broker.dead_letters(&queue.name, 10).await.unwrap();
        letters.len() == 1 && letters[0].message.id == one.id
    })
    .await;
    assert!(
        !stage.broker.replay(&queue.name, two.id).await.unwrap(),
        "it is no dead letter any more"
    );
}

async fn dead_letters_and_retries_outlive_the_process(mut stage: Stage) {
    let mut queue = stage.queue("q", &["made"]);
    queue.retry.steps = vec![std::time::Duration::from_secs(1)];
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = stage.effect("q", |message, _| match message.subject.as_str() {
        "dead" => Some(Outcome::Dead {
            reason: "broken".into(),
        }),
        _ => retry(),
    });
    let calls = handler.calls();
    let consumer = stage.consume(&queue, handler);
    stage
        .broker
        .publish(&[stage.event("made", "dead", "1"), stage.event("made", "later", "2")])
        .await;
    until("both are handled", async || calls.load(Ordering::SeqCst) == 2).await;
    consumer.stop().await;

    stage.restart().await;

    let _consumer = stage.consume(&queue, stage.effect("q", |_, _| None));
    assert_eq!(stage.settle("q", 1).await, [("later".to_owned(), "2".to_owned())]);
    let letters = stage.broker.dead_letters(&queue.name, 10).await.unwrap();
    assert_eq!(
        letters
            .iter()
            .map(|letter| letter.message.subject.as_str())
            .collect::<Vec<_>>(),
        ["dead"]
    );
}

async fn a_message_that_kills_its_consumer_every_time_is_a_dead_letter(stage: Stage) {
    let mut queue = stage.queue("q", &["made"]);
    queue.delivery_limit = 2;
    stage.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    stage.broker.publish(&[stage.event("made", "a", "1")]).await;
    for _ in 0..3 {
        let handler = stage.effect("q", |_, _| None).then(|| Box::pin(std::future::pending()));
        let calls = handler.calls();
        let doomed = stage.consume(&queue, handler);
        until("it is handed out", async || calls.load(Ordering::SeqCst) == 1).await;
        doomed.kill().await;
    }

    let handler = stage.effect("q", |_, _| None);
    let calls = handler.calls();
    let _consumer = stage.consume(&queue, handler);

    until("a dead letter", async || {
        stage.broker.dead_letters(&queue.name, 10).await.unwrap().len() == 1
    })
    .await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}
