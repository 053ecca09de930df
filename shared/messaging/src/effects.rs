//! Effects that share a transaction.
//!
//! A commit costs more than what most effects write: a round to the disk, and several to the server. [`Effects`] is a handler that commits the effects of
//! the messages that have come together at once, with their inbox rows. If one of them fails, the transaction rolls back as a whole, and each message is
//! handled alone, in a transaction of its own: one that cannot take effect does not take the others along, and none is done that is not committed.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Database;
use sqlx::{PgConnection, SqliteConnection};

use crate::{Handler, Message, Outcome, inbox};

/// What a message does to a store.
#[async_trait]
pub trait Effect: Send + Sync {
    /// Does what `message` asks for on a transaction, which is committed afterwards; it has not been done before. The transaction is shared with other
    /// messages, so whatever is not to be kept is an error.
    async fn apply(&self, on: On<'_>, message: &Message) -> Result<(), Failure>;
}

/// The connection of a transaction.
pub enum On<'a> {
    /// To PostgreSQL.
    Postgres(&'a mut PgConnection),
    /// To SQLite.
    Sqlite(&'a mut SqliteConnection),
}

/// Why a message has no effect.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// For now.
    #[error(transparent)]
    ForNow(#[from] quartet_store::Error),
    /// For good; why, for a person.
    #[error("{0}")]
    ForGood(String),
}

/// A handler that does the effects of several messages in one transaction.
pub struct Effects<E> {
    consumer: String,
    database: Database,
    clock: Clock,
    effect: E,
    together: usize,
    bound: Duration,
}

impl<E: Effect> Effects<E> {
    /// The effects of `consumer`, as its inbox knows it, in `database`; at most a hundred together, within ten seconds.
    pub fn new(consumer: &str, database: Database, clock: Clock, effect: E) -> Self {
        Self {
            consumer: consumer.to_owned(),
            database,
            clock,
            effect,
            together: 100,
            bound: Duration::from_secs(10),
        }
    }

    /// With at most so many messages in a transaction.
    #[must_use]
    pub fn at_most(self, together: usize) -> Self {
        Self { together, ..self }
    }

    /// With this bound on a transaction.
    #[must_use]
    pub fn within(self, bound: Duration) -> Self {
        Self { bound, ..self }
    }

    /// All of them, or none.
    async fn commit(&self, messages: &[&Message]) -> Result<(), Failure> {
        let deadline = Deadline::after(self.bound);
        // Whoever else notes some of them does so in the same order, so that neither waits for the other.
        let mut ids: Vec<_> = messages.iter().map(|message| message.id).collect();
        ids.sort();
        ids.dedup();
        macro_rules! commit {
            ($store:expr, $on:path) => {{
                let mut transaction = $store.write(deadline).await?;
                let first = inbox::first_times(&mut *transaction, &self.consumer, &ids, self.clock.now());
                let mut first: HashSet<_> = first
                    .await
                    .map_err(quartet_store::Error::from)?
                    .into_iter()
                    .collect();
                if first.is_empty() {
                    return Ok(());
                }
                for message in messages {
                    if first.remove(&message.id) {
                        self.effect.apply($on(&mut transaction), message).await?;
                    }
                }
                transaction.commit().await.map_err(quartet_store::Error::from)?;
            }};
        }
        match &self.database {
            Database::Postgres(store) => commit!(store, On::Postgres),
            Database::Sqlite(store) => commit!(store, On::Sqlite),
        }
        Ok(())
    }
}

#[async_trait]
impl<E: Effect> Handler for Effects<E> {
    async fn handle(&self, message: &Message) -> Outcome {
        match self.commit(&[message]).await {
            Ok(()) => Outcome::Done,
            Err(Failure::ForNow(error)) => Outcome::retry(error),
            Err(Failure::ForGood(reason)) => Outcome::dead(reason),
        }
    }

    fn together(&self) -> usize {
        self.together
    }

    async fn handle_all(&self, messages: &[&Message]) -> Vec<Outcome> {
        match self.commit(messages).await {
            Ok(()) => vec![Outcome::Done; messages.len()],
            // No outcomes: each is handled alone.
            Err(error) => {
                tracing::debug!(%error, messages = messages.len(), "effects could not be committed together");
                Vec::new()
            }
        }
    }
}
