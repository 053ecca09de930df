//! The one shape of a consumer: effects that share a transaction.
//!
//! A commit costs more than what most effects write: a flush to the disk, and several round trips.
//! [`Effects`] is a handler that commits the effects of the messages that have come together at
//! once, with their inbox rows. If one of them fails, the transaction rolls back as a whole, and
//! each message is handled alone, in a transaction of its own. So one that cannot take effect does
//! not hold up the others, and none is done that is not committed.

use std::time::Duration;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Context;

use crate::{Handler, Message, Outcome};

/// A store that messages take effect in.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Does what those of `messages` ask for that have not been done before, all or none, in one
    /// unit of work with their inbox rows (see [`Unit::first_times`](crate::Unit::first_times)).
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure>;
}

/// Why a message has no effect.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may have one later: the store is away, or too slow.
    #[error("{0}")]
    Transient(String),
    /// It never will; why, for a person.
    #[error("{0}")]
    Permanent(String),
}

impl From<quartet_store::Error> for Failure {
    fn from(error: quartet_store::Error) -> Self {
        Self::Transient(error.to_string())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        quartet_store::Error::from(error).into()
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transient(reason) => Self::Retry { reason },
            Failure::Permanent(reason) => Self::Dead { reason },
        }
    }
}

/// A handler that does the effects of several messages in one unit of work.
pub struct Effects<C> {
    store: C,
    clock: Clock,
    together: usize,
    timeout: Duration,
}

impl<C: Consumer> Effects<C> {
    /// The effects in `store`; at most a hundred together, within ten seconds.
    pub fn new(store: C, clock: Clock) -> Self {
        Self {
            store,
            clock,
            together: 100,
            timeout: Duration::from_secs(10),
        }
    }

    /// With at most so many messages in a transaction.
    #[must_use]
    pub fn at_most(self, together: usize) -> Self {
        Self { together, ..self }
    }

    /// With this bound on a transaction.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    async fn consume(&self, messages: &[&Message]) -> Result<(), Failure> {
        let cx = Context::new(&self.clock, Deadline::after(self.timeout));
        self.store.consume(messages, &cx).await
    }
}

#[async_trait]
impl<C: Consumer> Handler for Effects<C> {
    async fn handle(&self, message: &Message) -> Outcome {
        match self.consume(&[message]).await {
            Ok(()) => Outcome::Done,
            Err(failure) => failure.into(),
        }
    }

    fn together(&self) -> usize {
        self.together
    }

    async fn handle_all(&self, messages: &[&Message]) -> Vec<Outcome> {
        match self.consume(messages).await {
            Ok(()) => vec![Outcome::Done; messages.len()],
            // No outcomes: each is handled alone.
            Err(error) => {
                tracing::debug!(%error, messages = messages.len(), "effects could not be committed together");
                Vec::new()
            }
        }
    }
}

#[async_trait]
impl<C: Consumer + ?Sized> Consumer for std::sync::Arc<C> {
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure> {
        (**self).consume(messages, cx).await
    }
}
