//! The unit of work: a write and everything that follows from it, committed together.
//!
//! ```ignore
//! let mut unit = self.begin(&cx);
//! sqlx::query("update …").execute(unit.connection().await?).await?;
//! unit.publish(id, &pb::TodoUpdated { … });
//! unit.commit().await?;
//! ```
//!
//! Events are collected and written by the commit, in one statement. Only then is the relay woken,
//! and whoever else waits for the write. A unit that is dropped leaves nothing and wakes nobody.

use std::fmt;

use async_trait::async_trait;
use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_kernel::Scope;
use quartet_proto::events::Event;
use quartet_store::{Backend, Context, Error, RowLock};
use uuid::Uuid;

use crate::inbox::{self, Inbox};
use crate::outbox::{self, Outbox};
use crate::outdated::Outdated;
use crate::{Message, Wake};

/// What units of work publish through: it draws the ids of messages, and wakes the relay. Clones
/// share both.
#[derive(Clone)]
pub struct Publisher {
    clock: Clock,
    relay: Wake,
    outdated: Outdated,
}

impl Publisher {
    /// Publishes through the relay that `relay` wakes.
    pub fn new(clock: Clock, relay: Wake) -> Self {
        Self {
            clock,
            relay,
            outdated: Outdated::new(Cache::none()),
        }
    }

    /// The same, where writes make replies outdated that are cached.
    #[must_use]
    pub(crate) fn with(self, outdated: Outdated) -> Self {
        Self { outdated, ..self }
    }

    /// Forgets the cached replies with these tags, for a write without a unit of work.
    pub async fn outdate(&self, tags: &[String]) {
        self.outdated.forget(tags).await;
    }

    /// Publishes where no relay runs in this process: one that runs elsewhere finds the messages
    /// within its poll interval.
    pub fn detached(clock: Clock) -> Self {
        Self::new(clock, Wake::default())
    }

    /// The clock that messages get their ids from.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// What a store adds to the commit of a unit, such as a feed of changes. [`OutboxAlone`] adds
/// nothing.
#[async_trait]
pub trait Journal<B: Backend>: Send + 'static {
    /// What can go wrong in a store of this journal.
    type Error: From<Error> + From<sqlx::Error> + Send;

    /// Whether there is something to write beside the messages.
    fn is_empty(&self) -> bool;

    /// Writes what was collected, messages included, in one statement.
    async fn write(
        &mut self,
        connection: &mut B::Connection,
        messages: &[Message],
        cx: &Context,
    ) -> Result<(), Self::Error>;

    /// The tags of cached replies that what was written makes outdated, beside those of the events.
    fn outdated(&self) -> Vec<String> {
        Vec::new()
    }

    /// Notifies those in this process who wait for the write. The transaction is committed.
    fn committed(self);
}

/// A journal of messages alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutboxAlone;

#[async_trait]
impl<B> Journal<B> for OutboxAlone
where
    B: Backend,
    B::Connection: Outbox,
{
    type Error = Error;

    fn is_empty(&self) -> bool {
        true
    }

    async fn write(&mut self, connection: &mut B::Connection, messages: &[Message], _: &Context) -> Result<(), Error> {
        Ok(outbox::append_all(connection, messages).await?)
    }

    fn committed(self) {}
}

/// A write in the making. Queries run on [`Unit::connection`].
pub struct Unit<B: Backend, J: Journal<B> = OutboxAlone> {
    database: B,
    cx: Context,
    publisher: Publisher,
    /// Begun by the first query, so that a unit of a single statement needs no transaction.
    transaction: Option<B::Transaction>,
    /// Of a unit that is one statement.
    single: Option<B::Single>,
    /// Rows that are locked when it begins.
    locks: Vec<RowLock>,
    messages: Vec<Message>,
    /// Tags of cached replies that the write makes outdated.
    outdated: Vec<String>,
    /// The events among all messages of the unit that make replies outdated.
    outdating: Vec<Uuid>,
    journal: J,
    /// Whether messages were written before the commit.
    has_published: bool,
}

impl<B> Unit<B>
where
    B: Backend,
    B::Connection: Outbox,
{
    /// A unit on `database` that collects messages. Nothing is sent to the database yet.
    pub fn new(database: &B, cx: &Context, publisher: &Publisher) -> Self {
        Self::with(database, cx, publisher, OutboxAlone)
    }
}

impl<B: Backend, J: Journal<B>> Unit<B, J> {
    /// A unit on `database` that collects messages and what `journal` adds to them.
    pub fn with(database: &B, cx: &Context, publisher: &Publisher, journal: J) -> Self {
        Self {
            database: database.clone(),
            cx: cx.clone(),
            publisher: publisher.clone(),
            transaction: None,
            single: None,
            locks: Vec::new(),
            messages: Vec::new(),
            outdated: Vec::new(),
            outdating: Vec::new(),
            journal,
            has_published: false,
        }
    }

    /// The circumstances of the work.
    pub fn cx(&self) -> &Context {
        &self.cx
    }

    /// The clock that ids are drawn from.
    pub fn clock(&self) -> &Clock {
        &self.publisher.clock
    }

    /// What the store adds to the commit.
    pub fn journal(&mut self) -> &mut J {
        &mut self.journal
    }

    /// Has these rows locked when the transaction begins, in the same round trip, so that every
    /// statement sees what whoever held them before has committed.
    pub fn lock(&mut self, rows: RowLock) {
        self.locks.push(rows);
    }

    /// The connection of the transaction, which the first call begins.
    pub async fn connection(&mut self) -> Result<&mut B::Connection, Error> {
        let transaction = match self.transaction.take() {
            Some(transaction) => transaction,
            None => self.begin().await?,
        };
        Ok(self.transaction.insert(transaction))
    }

    /// The connection for the only statement of a unit without messages: it needs no transaction
    /// around it, unless it is there already, or the unit is part of a scope. A read that explains why it has written
    /// nothing may follow.
    pub async fn statement(&mut self) -> Result<&mut B::Connection, Error> {
        if self.cx.scope.is_some() || self.transaction.is_some() {
            return self.connection().await;
        }
        let single = match self.single.take() {
            Some(single) => single,
            None => self.database.single(self.cx.deadline).await?,
        };
        Ok(self.single.insert(single))
    }

    /// Begins the transaction, or goes on with the one of the scope.
    async fn begin(&self) -> Result<B::Transaction, Error> {
        match self.cx.scope.as_ref().and_then(Scope::resume::<B::Transaction>) {
            Some(mut transaction) => {
                B::lock(&mut transaction, &self.locks).await?;
                Ok(transaction)
            }
            None => self.database.begin(self.cx.deadline, &self.locks).await,
        }
    }

    /// Collects an event about `subject`. It is published after every earlier one about it.
    pub fn publish<E: Event>(&mut self, subject: impl fmt::Display, event: &E) {
        let message = Message::of(&self.publisher.clock, subject, event).in_order();
        let tags = event.tags();
        if !tags.is_empty() {
            self.outdated.extend(tags);
            self.outdating.push(message.id);
        }
        self.enqueue(message);
    }

    /// Has cached replies with this tag forgotten with the commit, for a write without an event.
    pub fn outdate(&mut self, tag: String) {
        self.outdated.push(tag);
    }

    /// Collects a message, with the time and the trace of this work.
    pub fn enqueue(&mut self, message: Message) {
        let trace = self.cx.trace.as_ref();
        self.messages.push(Message {
            time: self.cx.now,
            ..message.traced(trace)
        });
    }

    /// Writes what was collected so far, ahead of the commit, for statements that have to come
    /// after it.
    pub async fn flush(&mut self) -> Result<(), J::Error> {
        if self.messages.is_empty() && self.journal.is_empty() {
            return Ok(());
        }
        let messages = std::mem::take(&mut self.messages);
        let cx = self.cx.clone();
        self.connection().await?;
        if let Some(transaction) = &mut self.transaction {
            self.journal.write(transaction, &messages, &cx).await?;
        }
        self.has_published |= !messages.is_empty();
        Ok(())
    }

    /// Writes what was collected in one statement, commits, and wakes whoever waits for it. Within a
    /// scope, both are left to the scope.
    pub async fn commit(mut self) -> Result<(), J::Error> {
        let is_empty = self.messages.is_empty() && self.journal.is_empty();
        if let Some(single) = self.single.take() {
            debug_assert!(is_empty, "a unit of one statement collects nothing");
            B::finish(single).await?;
        } else if self.transaction.is_some() || (self.cx.scope.is_some() && !is_empty) {
            self.flush().await?;
            if let Some(transaction) = self.transaction.take() {
                match &self.cx.scope {
                    Some(scope) => scope.suspend(transaction),
                    None => B::commit(transaction).await?,
                }
            }
        } else if is_empty {
            return Ok(());
        } else {
            let mut single = self.database.single(self.cx.deadline).await?;
            self.journal.write(&mut single, &self.messages, &self.cx).await?;
            self.has_published |= !self.messages.is_empty();
            B::finish(single).await?;
        }
        // Before the write is answered: whoever made it sees it at once.
        let mut outdated = std::mem::take(&mut self.outdated);
        outdated.extend(self.journal.outdated());
        outdated.sort_unstable();
        outdated.dedup();
        let (has_published, publisher, journal) = (self.has_published, self.publisher, self.journal);
        let (outdating, is_outdating) = (self.outdating, !outdated.is_empty());
        let committed = async move {
            publisher.outdated.committed(&outdated, &outdating).await;
            if has_published {
                publisher.relay.wake();
            }
            journal.committed();
        };
        match &self.cx.scope {
            Some(scope) => scope.after_commit(move || committed),
            None if is_outdating => {
                // In a task of its own: a caller who goes away now does not keep it from happening.
                let _ = tokio::spawn(committed).await;
            }
            None => committed.await,
        }
        Ok(())
    }
}

impl<B, J> Unit<B, J>
where
    B: Backend,
    B::Connection: Inbox,
    J: Journal<B>,
{
    /// Those of `messages` that `consumer` sees for the first time, each once, in their order. The
    /// inbox rows are written in this unit, so they last exactly if the effects do.
    pub async fn first_times<'m>(
        &mut self,
        consumer: &str,
        messages: &[&'m Message],
    ) -> Result<Vec<&'m Message>, Error> {
        // Whoever else handles some of them writes the rows in the same order, so that neither
        // waits for the other.
        let mut ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let now = self.cx.now;
        let mut first = inbox::first_times(self.connection().await?, consumer, &ids, now).await?;
        let mut new = Vec::with_capacity(first.len());
        for message in messages {
            if let Some(index) = first.iter().position(|id| *id == message.id) {
                first.swap_remove(index);
                new.push(*message);
            }
        }
        Ok(new)
    }
}
