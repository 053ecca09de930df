//! The events that this service publishes and consumes.
//!
//! Published is every write of a todo, in the transaction of the write. Consumed are the deletion,
//! restoration and purge of users, see [`UserLifecycle`](crate::store::UserLifecycle). What is
//! deleted with its user has no event of its own.

use prost_types::Timestamp;
use quartet_messaging::{Failure, Message};
use quartet_proto::events::Event;
use quartet_proto::todos::v1 as pb;
use quartet_proto::users::v1 as users;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{Todo, UserEvent, UserEventKind};

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "todos";

/// The event of a user in a consumed message.
///
/// Errors: permanent for a message of another kind, or about no user.
pub(crate) fn user_event(message: &Message) -> Result<UserEvent, Failure> {
    let kind = match message.kind.as_str() {
        users::UserDeleted::KIND => UserEventKind::Deleted,
        users::UserRestored::KIND => UserEventKind::Restored,
        users::UserPurged::KIND => UserEventKind::Purged,
        kind => return Err(Failure::Permanent(format!("this service does not consume {kind}"))),
    };
    let user_id = Uuid::parse_str(&message.subject)
        .map_err(|_| Failure::Permanent(format!("`{}` is no user", message.subject)))?;
    Ok(UserEvent {
        kind,
        user_id,
        at: message.time,
    })
}

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
