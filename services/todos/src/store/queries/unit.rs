//! Units of work on todos: what is collected for feeds is written with the outbox at the commit.
//!
//! The owner's row in `feeds` is locked from that statement to the commit, which keeps positions in
//! the order of the commits. A user's write locks nothing after it, so no two of them can wait for
//! each other over it.

use async_trait::async_trait;
use quartet_messaging::{Journal, Message};
use quartet_store::{Context, RowLock};
use uuid::Uuid;

use super::{Connection, Database, Queries};
use crate::Error;
use crate::store::entries::{Entries, Limit};

/// A unit of work on todos.
pub(super) type Unit = quartet_messaging::Unit<Database, Entries>;

impl Queries {
    /// Begins a unit of work on these todos, which are locked: the tags on them are what a unit before
    /// it has left.
    pub(super) fn begin_on(&self, owner: Uuid, ids: &[Uuid], cx: &Context) -> Unit {
        let mut unit = self.begin(cx);
        unit.lock(RowLock {
            table: "todos",
            owner: ("user_id", owner),
            ids: ids.to_vec(),
        });
        unit
    }

    /// Begins a unit of work.
    pub(super) fn begin(&self, cx: &Context) -> Unit {
        Unit::with(&self.database, cx, &self.publisher, Entries::new(&self.notifier))
    }
}

/// The tag of cached replies that show todos or tags of `owner`.
pub(super) fn cached(owner: Uuid) -> String {
    format!("todos/{owner}")
}

#[async_trait]
impl Journal<Database> for Entries {
    type Error = Error;

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    async fn write(&mut self, connection: &mut Connection, messages: &[Message], cx: &Context) -> Result<(), Error> {
        let heads = super::journal::write(connection, self, messages, cx).await?;
        if let Some(Limit { owner, todos }) = self.limit
            && !heads.iter().any(|(of, _)| *of == owner)
        {
            return Err(Error::QuotaExceeded {
                quota: "todos",
                limit: todos,
            });
        }
        self.heads.extend(heads);
        self.feeds.clear();
        self.new.todos.clear();
        Ok(())
    }

    fn outdated(&self) -> Vec<String> {
        self.heads.iter().map(|(owner, _)| cached(*owner)).collect()
    }

    fn committed(self) {
        self.notify();
    }
}
