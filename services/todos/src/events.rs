//! What this service says and hears.
//!
//! It says what is written to todos, in the transaction of the write. It hears of users: the todos of one who was deleted are deleted with them, and
//! go for good after a while or come back with them. What goes with its user is not told of todo by todo: its owner is not there to hear it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost_types::Timestamp;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_messaging::{Handler, Message, Outcome};
use quartet_proto::events::Event;
use quartet_proto::todos::v1 as pb;
use quartet_proto::users::v1 as users;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Error;
use crate::domain::Todo;
use crate::store::{Store, UserNews};

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "todos";
/// Bound on one effect.
const BOUND: Duration = Duration::from_secs(20);
/// How often it is looked whether something goes for good.
const PURGING: Duration = Duration::from_secs(60);

pub(crate) fn created(todo: &Todo) -> pb::TodoCreated {
    pb::TodoCreated {
        todo_id: todo.id.to_string(),
        user_id: todo.user_id.to_string(),
        title: todo.title.clone(),
        due_at: todo.due_at.map(timestamp),
        completed_at: todo.completed_at.map(timestamp),
    }
}

pub(crate) fn updated(todo: &Todo) -> pb::TodoUpdated {
    pb::TodoUpdated {
        todo_id: todo.id.to_string(),
        user_id: todo.user_id.to_string(),
        title: todo.title.clone(),
        due_at: todo.due_at.map(timestamp),
        completed_at: todo.completed_at.map(timestamp),
    }
}

pub(crate) fn completed(todo: &Todo) -> pb::TodoCompleted {
    pb::TodoCompleted {
        todo_id: todo.id.to_string(),
        user_id: todo.user_id.to_string(),
        title: todo.title.clone(),
        due_at: todo.due_at.map(timestamp),
        completed_at: todo.completed_at.map(timestamp),
    }
}

pub(crate) fn deleted(todo_id: Uuid, user_id: Uuid) -> pb::TodoDeleted {
    pb::TodoDeleted {
        todo_id: todo_id.to_string(),
        user_id: user_id.to_string(),
    }
}

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: time.unix_timestamp(),
        // Less than a billion.
        nanos: time.nanosecond().cast_signed(),
    }
}

/// Does what messages ask of todos.
pub struct Hearing {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Hearing {
    /// Hears for `store`.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    async fn hear(&self, kind: &str, news: UserNews) -> Option<Result<(), Error>> {
        let (now, deadline) = (self.clock.now(), Deadline::after(BOUND));
        Some(match kind {
            users::UserDeleted::KIND => self.store.user_deleted(news, now, deadline).await,
            users::UserRestored::KIND => self.store.user_restored(news, now, deadline).await,
            users::UserPurged::KIND => self.store.user_purged(news, now, deadline).await,
            _ => return None,
        })
    }
}

#[async_trait]
impl Handler for Hearing {
    async fn handle(&self, message: &Message) -> Outcome {
        let Ok(user_id) = Uuid::parse_str(&message.subject) else {
            return Outcome::dead(format!("`{}` is no user", message.subject));
        };
        let news = UserNews {
            message_id: message.id,
            user_id,
            at: message.time,
        };
        match self.hear(&message.kind, news).await {
            Some(done) => done.into(),
            None => Outcome::dead("this service does not take this kind"),
        }
    }
}

/// Deletes for good what deleted users left, once its time has come.
pub struct Purge {
    store: Arc<dyn Store>,
    clock: Clock,
    after: Duration,
}

impl Purge {
    /// Deletes what users left who went longer than `after` ago.
    pub fn new(store: Arc<dyn Store>, clock: Clock, after: Duration) -> Self {
        Self { store, clock, after }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.once().await {
                tracing::warn!(%error, "what deleted users left cannot be deleted for now");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PURGING) => {}
            }
        }
    }

    /// Deletes all whose time has come.
    pub async fn once(&self) -> Result<(), Error> {
        let before = self.clock.now() - self.after;
        while let Some(user_id) = self.store.purge_departed(before, Deadline::after(BOUND)).await? {
            tracing::info!(%user_id, "what a deleted user left is deleted for good");
        }
        Ok(())
    }
}
