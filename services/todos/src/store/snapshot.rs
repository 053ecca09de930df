//! A todo or a tag as the feed of changes keeps it: JSON, with times as microseconds since
//! the epoch.

use quartet_store::Timestamp;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{ChangeKind, Priority, Subject, TagRef, Todo};

/// The fields may grow but never change their meaning: rows from before an upgrade are read after
/// it.
#[derive(Serialize, Deserialize)]
struct TodoSnapshot {
    user_id: Uuid,
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
    #[serde(default)]
    priority: i16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<(Uuid, String)>,
    created_at: i64,
    updated_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<i64>,
}

/// The payload of a change.
pub(super) fn write(subject: &Subject) -> Result<Option<String>, serde_json::Error> {
    match subject {
        Subject::Todo(todo) => serde_json::to_string(&TodoSnapshot::of(todo)).map(Some),
        Subject::Tag(tag) => serde_json::to_string(&tag.name).map(Some),
        Subject::Gone => Ok(None),
    }
}

/// What a payload holds.
pub(super) fn read(kind: ChangeKind, id: Uuid, payload: Option<&str>) -> Result<Subject, serde_json::Error> {
    let Some(payload) = payload else {
        return Ok(Subject::Gone);
    };
    Ok(match kind {
        ChangeKind::TagRenamed | ChangeKind::TagDeleted => Subject::Tag(TagRef {
            id,
            name: serde_json::from_str(payload)?,
        }),
        _ => Subject::Todo(Box::new(serde_json::from_str::<TodoSnapshot>(payload)?.into_todo(id))),
    })
}

impl TodoSnapshot {
    fn of(todo: &Todo) -> Self {
        Self {
            user_id: todo.user_id,
            title: todo.title.clone(),
            description: todo.description.clone(),
            completed_at: todo.completed_at.map(micros),
            due_at: todo.due_at.map(micros),
            priority: todo.priority.number(),
            tags: todo.tags.iter().map(|tag| (tag.id, tag.name.clone())).collect(),
            created_at: micros(todo.created_at),
            updated_at: micros(todo.updated_at),
            deleted_at: todo.deleted_at.map(micros),
        }
    }

    fn into_todo(self, id: Uuid) -> Todo {
        Todo {
            id,
            user_id: self.user_id,
            title: self.title,
            description: self.description,
            completed_at: self.completed_at.map(timestamp),
            due_at: self.due_at.map(timestamp),
            priority: Priority::from_number(self.priority).unwrap_or_default(),
            tags: self.tags.into_iter().map(|(id, name)| TagRef { id, name }).collect(),
            created_at: timestamp(self.created_at),
            updated_at: timestamp(self.updated_at),
            deleted_at: self.deleted_at.map(timestamp),
        }
    }
}

fn micros(time: OffsetDateTime) -> i64 {
    Timestamp(time).micros()
}

fn timestamp(micros: i64) -> OffsetDateTime {
    // Only what `micros` gives was ever written.
    Timestamp::from_micros(micros).map_or(OffsetDateTime::UNIX_EPOCH, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_was_written() {
        let id = Uuid::from_u128(7);
        let at = OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(1_700_000_000_000_001);
        let todo = Todo {
            id,
            user_id: Uuid::from_u128(8),
            title: "Купить \"молоко\"".into(),
            description: Some("two\nlines".into()),
            completed_at: Some(at),
            due_at: None,
            priority: Priority::High,
            tags: vec![TagRef {
                id: Uuid::from_u128(9),
                name: "home".into(),
            }],
            created_at: at,
            updated_at: at,
            deleted_at: Some(at),
        };
        let tag = Subject::Tag(TagRef {
            id, name: "дом".into()
        });
        for (kind, subject) in [
            (ChangeKind::Deleted, Subject::Todo(Box::new(todo))),
            (ChangeKind::TagRenamed, tag),
            (ChangeKind::Purged, Subject::Gone),
        ] {
            let payload = write(&subject).unwrap();
            assert_eq!(read(kind, id, payload.as_deref()).unwrap(), subject);
        }
    }
}
