//! At least once to every consumer, and one effect each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quartet_kernel::Deadline;
use quartet_messaging::outbox;
use quartet_store::Database;

use crate::harness::{Harness, retry, trace, until};

crate::on_every_harness!(
    two_consumers_each_handle_a_message_once,
    a_failed_handler_receives_the_message_again_after_each_step,
    a_panic_is_a_retry,
    a_handler_that_takes_too_long_is_retried,
    the_messages_of_one_subject_take_effect_in_order,
    a_consumer_that_dies_after_its_commit_leaves_one_effect,
    transactions_that_commit_out_of_order_skip_no_row,
    two_relays_send_each_row_once,
    the_lease_of_a_relay_that_died_runs_out,
    a_wake_is_enough,
    a_duplicate_takes_effect_once,
);

async fn two_consumers_each_handle_a_message_once(harness: Harness) {
    let (one, two) = (
        harness.queue("one", &["made"]),
        harness.queue("two", &["made", "other"]),
    );
    harness.broker.declare(&[one.clone(), two.clone()]).await.unwrap();
    let _relay = harness.relay();
    let _one = harness.consume(&one, harness.effect("one", |_, _| None));
    let _two = harness.consume(&two, harness.effect("two", |_, _| None));

    let message = harness.event("made", "a", "1").traced(trace().as_ref());
    harness
        .publish(&[
            message,
            harness.event("made", "b", "2"),
            harness.event("other", "c", "3"),
        ])
        .await;

    let mut ones = harness.settle("one", 2).await;
    let mut twos = harness.settle("two", 3).await;
    ones.sort();
    twos.sort();
    let effects = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ones, effects(&[("a", "1"), ("b", "2")]));
    assert_eq!(twos, effects(&[("a", "1"), ("b", "2"), ("c", "3")]));
    until("all are sent", async || harness.unsent().await == 0).await;
}

async fn a_failed_handler_receives_the_message_again_after_each_step(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = calls.clone();
    let handler = harness.effect("q", move |_, call| {
        noted.lock().unwrap().push(Instant::now());
        (call <= 3).then(retry).flatten()
    });
    let _consumer = harness.consume(&queue, handler);
    let _relay = harness.relay();

    harness.publish(&[harness.event("made", "a", "1")]).await;

    harness.settle("q", 1).await;
    let calls = calls.lock().unwrap();
    let waits: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 3);
    for (wait, step) in waits.iter().zip([50, 100, 100]) {
        assert!(
            *wait >= Duration::from_millis(step) && *wait < Duration::from_secs(5),
            "{waits:?}"
        );
    }
}

async fn a_panic_is_a_retry(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = harness.effect("q", |_, call| {
        assert!(call > 1, "the first call panics");
        None
    });
    let _consumer = harness.consume(&queue, handler);
    let _relay = harness.relay();

    harness.publish(&[harness.event("made", "a", "1")]).await;

    harness.settle("q", 1).await;
}

async fn a_handler_that_takes_too_long_is_retried(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = slow.clone();
    let handler = harness.effect("q", |_, _| None).then(move || {
        let slow = is_slow.swap(false, Ordering::SeqCst);
        Box::pin(async move {
            if slow {
                std::future::pending().await
            }
        })
    });
    let calls = handler.calls();
    let subscription = quartet_messaging::Subscription::new("test", queue).within(Duration::from_millis(300));
    let _consumer = harness.subscribe(subscription, handler);
    let _relay = harness.relay();

    harness.publish(&[harness.event("made", "a", "1")]).await;

    until("a second call", async || calls.load(Ordering::SeqCst) == 2).await;
    harness.settle("q", 1).await;
}

async fn the_messages_of_one_subject_take_effect_in_order(harness: Harness) {
    let queue = harness.queue("q", &["made"]).in_order();
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    // The first call for some of them fails, which must hold back the later ones of that subject.
    let seen = std::sync::Mutex::new(BTreeSet::new());
    let _consumer = harness.consume(
        &queue,
        harness.effect("q", move |message, _| {
            let fails = matches!(message.decode::<String>().unwrap().as_str(), "0" | "3" | "4");
            (seen.lock().unwrap().insert(message.id) && fails).then(retry).flatten()
        }),
    );
    let _relays = [harness.relay(), harness.relay()];

    let (subjects, each) = (["a", "b", "c", "d"], 8);
    for number in 0..each {
        let messages = subjects.map(|subject| harness.event("made", subject, &number.to_string()).in_order());
        harness.publish(&messages).await;
    }

    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (subject, number) in harness.settle("q", subjects.len() * each).await {
        order.entry(subject).or_default().push(number);
    }
    let expected: Vec<String> = (0..each).map(|number| number.to_string()).collect();
    for subject in subjects {
        assert_eq!(order[subject], expected, "of {subject}");
    }
}

async fn a_consumer_that_dies_after_its_commit_leaves_one_effect(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let _relay = harness.relay();
    // It has committed, and never gets to acknowledge.
    let handler = harness
        .effect("q", |_, _| None)
        .then(|| Box::pin(std::future::pending()));
    let doomed = harness.consume(&queue, handler);
    harness
        .publish(&[harness.event("made", "a", "1"), harness.event("made", "b", "2")])
        .await;
    harness.settle("q", 2).await;
    doomed.kill().await;

    let handler = harness.effect("q", |_, _| None);
    let calls = handler.calls();
    let _consumer = harness.consume(&queue, handler);

    until("both are delivered again", async || calls.load(Ordering::SeqCst) == 2).await;
    until("the queue is empty", async || {
        let stats = harness.broker.queue_stats(&queue.name).await.unwrap().unwrap();
        (stats.ready, stats.delayed, stats.dead) == (0, 0, 0)
    })
    .await;
    harness.settle("q", 2).await;
}

async fn transactions_that_commit_out_of_order_skip_no_row(harness: Harness) {
    let Database::Postgres(database) = &harness.database else {
        // SQLite has one writer, so transactions commit in order.
        return;
    };
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let _relay = harness.relay();
    let _consumer = harness.consume(&queue, harness.effect("q", |_, _| None));
    let deadline = Deadline::after(Duration::from_secs(30));
    let mut early = database.write(deadline).await.unwrap();
    outbox::append_all(&mut *early, &[harness.event("made", "early", "1")])
        .await
        .unwrap();
    let mut late = database.write(deadline).await.unwrap();
    outbox::append_all(&mut *late, &[harness.event("made", "late", "2")])
        .await
        .unwrap();
    late.commit().await.unwrap();
    harness.settle("q", 1).await;

    early.commit().await.unwrap();

    let subjects: Vec<String> = harness
        .settle("q", 2)
        .await
        .into_iter()
        .map(|(subject, _)| subject)
        .collect();
    assert_eq!(subjects, ["late", "early"]);
}

async fn two_relays_send_each_row_once(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let messages: Vec<_> = (0..300)
        .map(|number| harness.event("made", "a", &number.to_string()))
        .collect();
    harness.publish(&messages).await;
    let settings = || quartet_messaging::Config {
        relay_batch: 7,
        ..harness.settings()
    };
    let (_one, _, one) = harness.relay_with(settings());
    let (_two, _, two) = harness.relay_with(settings());
    let handler = harness.effect("q", |_, _| None);
    let calls = handler.calls();
    let _consumer = harness.consume(&queue, handler);

    harness.settle("q", 300).await;
    until("all are sent", async || harness.unsent().await == 0).await;
    assert_eq!(one.snapshot().sent + two.snapshot().sent, 300);
    assert_eq!(calls.load(Ordering::SeqCst), 300);
}

async fn the_lease_of_a_relay_that_died_runs_out(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    harness.publish(&[harness.event("made", "a", "1")]).await;
    // As a relay leaves it that died between claim and publishing.
    let until_then = harness.clock.now() + Duration::from_secs(1);
    match &harness.database {
        Database::Postgres(database) => {
            let sql = "update outbox set claimed_until = $1";
            sqlx::query(sql)
                .bind(quartet_store::Timestamp(until_then))
                .execute(database.pool())
                .await
                .unwrap();
        }
        Database::Sqlite(database) => {
            let sql = "update outbox set claimed_until = $1";
            sqlx::query(sql)
                .bind(quartet_store::Timestamp(until_then))
                .execute(database.pool())
                .await
                .unwrap();
        }
    }
    let _relay = harness.relay();
    let _consumer = harness.consume(&queue, harness.effect("q", |_, _| None));

    harness.settle("q", 1).await;

    assert!(harness.clock.now() >= until_then, "it was sent while it was claimed");
}

async fn a_wake_is_enough(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let settings = quartet_messaging::Config {
        relay_poll_interval: "1h".parse().unwrap(),
        ..harness.settings()
    };
    let (_relay, wake, stats) = harness.relay_with(settings);
    let _consumer = harness.consume(&queue, harness.effect("q", |_, _| None));
    for number in 1..=3 {
        harness.publish(&[harness.event("made", "a", "1")]).await;
        wake.wake();
        harness.settle("q", number).await;
    }
    assert_eq!(stats.snapshot().sent, 3);
}

async fn a_duplicate_takes_effect_once(harness: Harness) {
    let queue = harness.queue("q", &["made"]);
    harness.broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    let handler = harness.effect("q", |_, _| None);
    let calls = handler.calls();
    let _consumer = harness.consume(&queue, handler);
    let message = harness.event("made", "a", "1");
    for number in 1..=2 {
        harness.broker.publish(std::slice::from_ref(&message)).await;
        until("it is handled, and gone", async || {
            let ready = harness.broker.queue_stats(&queue.name).await.unwrap().unwrap().ready;
            calls.load(Ordering::SeqCst) == number && ready == 0
        })
        .await;
    }
    harness.settle("q", 1).await;
}
