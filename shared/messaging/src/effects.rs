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
use quartet_kernel::{Deadline, Failure};
use quartet_store::Context;

use crate::{Handler, Message};

/// A store that messages take effect in.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Does the effects of those of `messages` that have not been handled before, all or none, in
    /// one unit of work with their inbox rows (see
    /// [`Unit::first_times`](crate::Unit::first_times)).
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure>;
}

/// A handler that does the effects of several messages in one unit of work.
pub struct Effects<C> {
    store: C,
    clock: Clock,
    batch_size: usize,
    timeout: Duration,
}

impl<C: Consumer> Effects<C> {
    /// The effects in `store`; at most a hundred together, within ten seconds.
    pub fn new(store: C, clock: Clock) -> Self {
        Self {
            store,
            clock,
            batch_size: 100,
            timeout: Duration::from_secs(10),
        }
    }

    /// With at most so many messages in a transaction.
    #[must_use]
    pub fn at_most(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
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
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        self.consume(&[message]).await
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    async fn handle_all(&self, messages: &[&Message]) -> Vec<Result<(), Failure>> {
        match self.consume(messages).await {
            Ok(()) => vec![Ok(()); messages.len()],
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
