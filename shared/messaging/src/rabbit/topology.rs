//! Exchanges and queues, by name and as they are declared.

use std::collections::BTreeSet;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Error, ExchangeKind};

use crate::Queue;

/// The topic exchange of all events.
pub(super) const EVENTS: &str = "quartet.events";
/// The exchange that the server gives dead letters to.
const DEAD: &str = "quartet.dead";
/// A dead letter that is read is delivered and returned; it must not be lost to that (RabbitMQ 4
/// limits deliveries by default).
const ANY_NUMBER: i64 = 1_000_000;

/// Where the dead letters of a queue are.
pub(super) fn dead_queue(queue: &str) -> String {
    format!("{queue}.dead")
}

/// Where the messages of a queue wait for a retry. The wait is part of the name, so that another
/// one makes another queue, and the old one drains.
pub(super) fn retry_queue(queue: &str, step: Duration) -> String {
    format!("{queue}.retry.{}ms", step.as_millis())
}

/// Where a message lies while a queue is paused. It is what a consumer in any process can see
/// without a store of its own.
pub(super) fn pause_queue(queue: &str) -> String {
    format!("{queue}.paused")
}

/// The different waits of a queue; an ordered one waits in its consumer.
pub(super) fn steps(queue: &Queue) -> BTreeSet<Duration> {
    match queue.ordered {
        true => BTreeSet::new(),
        false => queue.retry.steps.iter().copied().collect(),
    }
}

pub(super) async fn declare(channel: &Channel, queues: &[Queue]) -> Result<(), Error> {
    for (name, kind) in [(EVENTS, ExchangeKind::Topic), (DEAD, ExchangeKind::Direct)] {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await?;
    }
    for queue in queues {
        declare_queue(channel, queue).await?;
    }
    Ok(())
}

async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<(), Error> {
    let name = queue.name.as_str();
    let dead = dead_queue(name);
    quorum(channel, &dead, [("x-delivery-limit", number(ANY_NUMBER))]).await?;
    bind(channel, &dead, DEAD, name).await?;
    quorum(channel, &pause_queue(name), [("x-max-length", number(1))]).await?;
    for step in steps(queue) {
        // One queue per wait: of a queue with different waits, only the head expires. The default
        // exchange routes to the queue by its name.
        let milliseconds = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        let arguments = dead_lettering("", name).chain([("x-message-ttl", number(milliseconds))]);
        quorum(channel, &retry_queue(name, step), arguments).await?;
    }
    let arguments = dead_lettering(DEAD, name).chain([
        ("x-delivery-limit", number(i64::from(queue.delivery_limit))),
        ("x-single-active-consumer", AMQPValue::Boolean(queue.ordered)),
    ]);
    quorum(channel, name, arguments).await?;
    for pattern in &queue.bindings {
        bind(channel, name, EVENTS, pattern).await?;
    }
    Ok(())
}

/// What leaves the queue without having been consumed goes on to `exchange`, and leaves only once
/// it has arrived there.
fn dead_lettering(exchange: &str, key: &str) -> impl Iterator<Item = (&'static str, AMQPValue)> {
    [
        ("x-dead-letter-exchange", text(exchange)),
        ("x-dead-letter-routing-key", text(key)),
        ("x-dead-letter-strategy", text("at-least-once")),
        // The server requires it: a queue that drops its oldest messages could drop those on their
        // way.
        ("x-overflow", text("reject-publish")),
    ]
    .into_iter()
}

async fn quorum(
    channel: &Channel,
    name: &str,
    arguments: impl IntoIterator<Item = (&'static str, AMQPValue)>,
) -> Result<(), Error> {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (key, value) in arguments {
        table.insert(key.into(), value);
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel.queue_declare(name.into(), options, table).await?;
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), Error> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
}

/// Messages in a queue, and consumers of it. The server closes the channel when there is no such
/// queue.
pub(super) async fn count(channel: &Channel, queue: &str) -> Result<(u64, u64), Error> {
    let options = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let queue = channel
        .queue_declare(queue.into(), options, FieldTable::default())
        .await?;
    Ok((queue.message_count().into(), queue.consumer_count().into()))
}

/// Empties a queue.
pub(super) async fn purge(channel: &Channel, queue: &str) -> Result<(), Error> {
    channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
    Ok(())
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn number(number: i64) -> AMQPValue {
    AMQPValue::LongLongInt(number)
}

/// A name of AMQP: at most 255 bytes.
pub(super) fn short(text: &str) -> Result<ShortString, String> {
    ShortString::try_new(text).map_err(|_| format!("`{text}` is longer than 255 bytes"))
}
