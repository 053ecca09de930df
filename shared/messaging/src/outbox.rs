//! What a service says, kept in its own store until the broker has it.
//!
//! ```ignore
//! let mut transaction = self.pool.write(deadline).await?;
//! // … the write …
//! self.outgoing.say(&mut *transaction, now, id, &pb::TodoCreated { … }).await?;
//! transaction.commit().await?;
//! self.outgoing.said();
//! ```

use std::fmt;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_proto::events::Event;
use sqlx::{PgConnection, SqliteConnection};
use time::OffsetDateTime;

use crate::store::{postgres, sqlite};
use crate::{Message, Wake};

/// A connection to a database with an `outbox` table, of either kind.
#[async_trait]
pub trait Outbox: Send {
    /// Appends messages, in this order, on the connection's transaction.
    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error>;
}

#[async_trait]
impl Outbox for PgConnection {
    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error> {
        postgres::append(self, messages).await
    }
}

#[async_trait]
impl Outbox for SqliteConnection {
    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error> {
        sqlite::append(self, messages).await
    }
}

/// Appends a message on the caller's transaction: it is sent if, and once, that commits.
pub async fn append<C: Outbox>(connection: &mut C, message: &Message) -> Result<(), sqlx::Error> {
    connection.append_all(std::slice::from_ref(message)).await
}

/// As [`append`], for several messages in one statement.
pub async fn append_all<C: Outbox>(connection: &mut C, messages: &[Message]) -> Result<(), sqlx::Error> {
    match messages {
        [] => Ok(()),
        messages => connection.append_all(messages).await,
    }
}

/// What a store says with: it draws the ids of messages, and tells the relay that there are some. Clones are one.
#[derive(Clone)]
pub struct Outgoing {
    clock: Clock,
    wake: Wake,
}

impl Outgoing {
    /// Says through the relay that `wake` wakes.
    pub fn new(clock: Clock, wake: Wake) -> Self {
        Self { clock, wake }
    }

    /// Says without waking anybody, where no relay runs in this process: one that runs elsewhere finds it within its poll interval.
    pub fn unheard(clock: Clock) -> Self {
        Self::new(clock, Wake::default())
    }

    /// The time now, for news of a write that keeps no time of its own.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// The news of a write, after all that was said about `subject` before.
    pub fn news<E: Event>(&self, now: OffsetDateTime, subject: impl fmt::Display, event: &E) -> Message {
        Message {
            time: now,
            ..Message::news(&self.clock, subject, event).in_order()
        }
    }

    /// Appends the news of a write on its transaction.
    pub async fn say<C: Outbox, E: Event>(
        &self,
        connection: &mut C,
        now: OffsetDateTime,
        subject: impl fmt::Display,
        event: &E,
    ) -> Result<(), sqlx::Error> {
        let news = self.news(now, subject, event);
        append(connection, &news).await
    }

    /// Has the relay look: the transaction is committed.
    pub fn said(&self) {
        self.wake.wake();
    }
}
