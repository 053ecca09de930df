//! Effects of several messages in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use quartet_messaging::{Failure, Message, Queue, Subscription};

use crate::batched::Batched;
use crate::harness::{Harness, Running, until};

crate::on_every_harness!(
    messages_that_come_together_are_committed_together,
    a_poison_message_does_not_fail_those_beside_it,
    a_transient_failure_is_retried_and_those_beside_it_are_done_at_once,
    a_panic_over_several_leaves_each_to_itself,
    the_order_of_a_subject_holds_among_those_handled_together,
    a_consumer_that_dies_after_a_commit_of_several_leaves_one_effect_each,
    copies_that_come_together_take_effect_once,
);

fn not_now() -> Failure {
    Failure::transient("not now")
}

/// All of them are in the queue before the consumer begins.
async fn publish(harness: &Harness, queue: &Queue, messages: &[Message]) {
    harness.broker.declare(std::slice::from_ref(queue)).await.unwrap();
    harness.broker.publish(messages).await;
    until("all are there", async || {
        let stats = harness.broker.queue_stats(&queue.name).await.unwrap().unwrap();
        stats.ready >= messages.len() as u64
    })
    .await;
}

fn consume(harness: &Harness, queue: &Queue, handler: Batched) -> Running {
    harness.subscribe(Subscription::new("test", queue.clone()).prefetching(100), handler)
}

async fn numbered(harness: &Harness, queue: &Queue, count: usize) -> Vec<Message> {
    let messages: Vec<_> = (0..count)
        .map(|number| harness.event("made", &format!("s{number}"), &number.to_string()))
        .collect();
    publish(harness, queue, &messages).await;
    messages
}

/// Nothing is left in the queue but so many dead letters.
async fn left(harness: &Harness, queue: &Queue, dead: u64) {
    until("the queue is empty", async || {
        let stats = harness.broker.queue_stats(&queue.name).await.unwrap().unwrap();
        (stats.ready, stats.delayed, stats.dead) == (0, 0, dead)
    })
    .await;
}

async fn messages_that_come_together_are_committed_together(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    numbered(&harness, &queue, 200).await;
    let handler = Batched::new(&harness, "q", |_| Ok(()));
    let sizes = handler.sizes();
    let consumer = consume(&harness, &queue, handler);

    harness.settle("q", 200).await;
    left(&harness, &queue, 0).await;
    consumer.stop().await;
    let sizes = sizes.lock().unwrap();
    assert_eq!(sizes.iter().sum::<usize>(), 200, "{sizes:?}");
    assert!(sizes.len() < 100, "{sizes:?}");
}

async fn a_poison_message_does_not_fail_those_beside_it(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    let messages = numbered(&harness, &queue, 50).await;
    let handler = Batched::new(&harness, "q", |message| match message.subject.as_str() {
        "s20" => Err(Failure::Permanent("it is poison".into())),
        _ => Ok(()),
    });
    let sizes = handler.sizes();
    let _consumer = consume(&harness, &queue, handler);

    let effects = harness.settle("q", 49).await;
    left(&harness, &queue, 1).await;
    assert!(
        effects.iter().all(|(subject, _)| subject != "s20"),
        "its row was rolled back"
    );
    let letters = harness.broker.dead_letters(&queue.name, 10).await.unwrap();
    assert_eq!(
        (&letters[0].message, letters[0].reason.as_str()),
        (&messages[20], "it is poison")
    );
    assert!(sizes.lock().unwrap().iter().any(|size| *size > 1), "none came together");
}

async fn a_transient_failure_is_retried_and_those_beside_it_are_done_at_once(harness: Harness) {
    for ordered in [false, true] {
        let name = format!("q{ordered}");
        let mut queue = harness.queue(&name, &["made"]);
        queue.ordered = ordered;
        numbered(&harness, &queue, 30).await;
        let calls = Mutex::new(0);
        let handler = Batched::new(&harness, &name, move |message| {
            let mut calls = calls.lock().unwrap();
            *calls += u32::from(message.subject == "s7");
            // Batched with others, alone, and once more after a pause.
            match message.subject == "s7" && *calls <= 3 {
                true => Err(not_now()),
                false => Ok(()),
            }
        });
        let _consumer = consume(&harness, &queue, handler);

        let effects = harness.settle(&name, 30).await;
        left(&harness, &queue, 0).await;
        assert_eq!(effects[29].0, "s7");
    }
}

async fn a_panic_over_several_leaves_each_to_itself(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    numbered(&harness, &queue, 30).await;
    let panicked = Mutex::new(BTreeSet::new());
    let handler = Batched::new(&harness, "q", move |message| {
        let first = panicked
            .lock()
            .unwrap_or_else(|lock| lock.into_inner())
            .insert(message.id);
        assert!(message.subject != "s3" || !first, "the first call panics");
        Ok(())
    });
    let _consumer = consume(&harness, &queue, handler);

    harness.settle("q", 30).await;
    left(&harness, &queue, 0).await;
}

async fn the_order_of_a_subject_holds_among_those_handled_together(harness: Harness) {
    let queue = harness.queue("q", &["made"]).in_order();
    let (subjects, each) = (["a", "b", "c", "d", "e"], 10);
    let messages: Vec<_> = (0..each)
        .flat_map(|number| subjects.map(|subject| (subject, number.to_string())))
        .map(|(subject, number)| harness.event("made", subject, &number).in_order())
        .collect();
    publish(&harness, &queue, &messages).await;
    // Some fail at first, which must hold back the later ones of their subject.
    let seen = Mutex::new(BTreeMap::new());
    let handler = Batched::new(&harness, "q", move |message| {
        let fails = matches!(message.decode::<String>().unwrap().as_str(), "0" | "3" | "4");
        let mut seen = seen.lock().unwrap();
        let calls: &mut u32 = seen.entry(message.id).or_default();
        *calls += 1;
        match fails && *calls <= 2 {
            true => Err(not_now()),
            false => Ok(()),
        }
    });
    let _consumer = consume(&harness, &queue, handler);

    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (subject, number) in harness.settle("q", subjects.len() * each).await {
        order.entry(subject).or_default().push(number);
    }
    let expected: Vec<String> = (0..each).map(|number| number.to_string()).collect();
    for subject in subjects {
        assert_eq!(order[subject], expected, "of {subject}");
    }
    left(&harness, &queue, 0).await;
}

async fn a_consumer_that_dies_after_a_commit_of_several_leaves_one_effect_each(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    numbered(&harness, &queue, 40).await;
    // It has committed, and never gets to acknowledge.
    let handler = Batched::new(&harness, "q", |_| Ok(())).then(|| Box::pin(std::future::pending()));
    let doomed = consume(&harness, &queue, handler);
    until("some have taken effect", async || harness.effects("q").await.len() > 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    doomed.kill().await;

    let handler = Batched::new(&harness, "q", |_| Ok(()));
    let sizes = handler.sizes();
    let _consumer = consume(&harness, &queue, handler);

    left(&harness, &queue, 0).await;
    until("all are delivered again", async || {
        sizes.lock().unwrap().iter().sum::<usize>() >= 40
    })
    .await;
    harness.settle("q", 40).await;
}

async fn copies_that_come_together_take_effect_once(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    let messages = numbered(&harness, &queue, 20).await;
    // The broker within the process recognizes a copy of what is still there; RabbitMQ does not.
    harness.broker.publish(&messages).await;
    let _consumer = consume(&harness, &queue, Batched::new(&harness, "q", |_| Ok(())));

    left(&harness, &queue, 0).await;
    harness.settle("q", 20).await;
}
