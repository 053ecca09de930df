//! What a broker promises, whichever it is.
//!
//! A message that is published is in every queue that accepts it, safely, before it counts as such. One that is delivered stays in the queue until its
//! handler has returned `Ok`; a consumer that dies with it in flight leaves it to the next. So a handler can receive a message twice, and keeps an inbox row in
//! the transaction of its effect.

use std::sync::Arc;

use async_trait::async_trait;
use quartet_kernel::Failure;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Message, Queue, Subscription};

/// Delivers messages from those who publish to those who have subscribed.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Makes these queues, with their bindings, if they are not there. A publisher declares the queues of those who wait for its events, so that
    /// none is missed before their first start.
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error>;

    /// Publishes these messages and returns, in the same order, what became of each. Takes a bounded time.
    async fn publish(&self, batch: &[Message]) -> Vec<Published>;

    /// Delivers the messages of a queue to `handler` until `stop`, through every failure of the broker. Returns
    /// once the messages in flight are handled or returned.
    async fn consume(&self, subscription: Subscription, handler: Arc<dyn Handler>, stop: CancellationToken);

    /// The oldest dead letters of a queue, at most `limit`.
    async fn dead_letters(&self, queue: &str, limit: u32) -> Result<Vec<DeadLetter>, Error>;

    /// Puts a dead letter back into its queue, as new; whether it was there.
    async fn replay(&self, queue: &str, message_id: Uuid) -> Result<bool, Error>;

    /// How a queue stands; `None` when there is no such queue.
    async fn queue_stats(&self, queue: &str) -> Result<Option<QueueStats>, Error>;

    /// Stops the delivery of a queue, in every process and across restarts, until [`Broker::resume`]. Messages
    /// in flight are finished.
    async fn pause(&self, queue: &str) -> Result<(), Error>;

    /// Delivers the messages of a queue again.
    async fn resume(&self, queue: &str) -> Result<(), Error>;
}

/// Handles messages.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles `message`, once: the effect and the inbox row are committed when this returns `Ok`. A panic counts as
    /// transient.
    async fn handle(&self, message: &Message) -> Result<(), Failure>;

    /// How many messages it handles together at most; one by default.
    fn batch_size(&self) -> usize {
        1
    }

    /// Handles these messages together, no two of which are about one subject where subjects are in order; an outcome for each, in the same
    /// order. One that panics, takes too long or has another number of outcomes has done nothing: each message is then handled alone.
    async fn handle_all(&self, messages: &[&Message]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            outcomes.push(self.handle(message).await);
        }
        outcomes
    }
}

/// What became of a message at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is safely in every queue that accepts it.
    Confirmed,
    /// There is no queue for this work. (An event that no queue accepts is confirmed.)
    Unroutable,
    /// It may or may not have arrived; it has to be sent again.
    Failed {
        /// Why, for a person.
        reason: String,
    },
}

/// A message that could not take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message.
    pub message: Message,
    /// The queue that it was in.
    pub queue: String,
    /// The handler's last reason, or the broker's.
    pub reason: String,
    /// How often it was retried.
    pub retries: u32,
    /// Since when it is dead, if the broker keeps that.
    pub dead_since: Option<OffsetDateTime>,
}

/// How a queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that wait to be delivered.
    pub ready: u64,
    /// Messages that wait for the time of their retry.
    pub delayed: u64,
    /// Dead letters.
    pub dead: u64,
    /// Its consumers.
    pub consumers: u64,
    /// Whether it is paused.
    pub paused: bool,
}

/// Why a broker cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not answer, or not in time.
    #[error("the broker is away: {0}")]
    Unavailable(String),
    /// What was named is not there.
    #[error("the broker has no such thing: {0}")]
    NotFound(String),
    /// It answers that this cannot be.
    #[error("the broker refused: {0}")]
    Refused(String),
}
