//! A todo.

use quartet_kernel::Etag;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Description, Priority, TagRef, Title};

/// Something to do, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Todo {
    /// UUIDv7.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// What is to do.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// When it was done, if it is.
    pub completed_at: Option<OffsetDateTime>,
    /// When it is due.
    pub due_at: Option<OffsetDateTime>,
    /// How pressing it is.
    pub priority: Priority,
    /// The tags on it, by name.
    pub tags: Vec<TagRef>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
    /// When it was deleted, if it is.
    pub deleted_at: Option<OffsetDateTime>,
}

impl Todo {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            id,
            user_id,
            title,
            description,
            completed_at,
            due_at,
            priority,
            tags,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        // Databases order names differently.
        let mut tags: Vec<&TagRef> = tags.iter().collect();
        tags.sort_by_key(|tag| tag.id);
        Etag::of(&(
            id,
            user_id,
            title,
            description,
            completed_at,
            due_at,
            priority,
            tags,
            created_at,
            updated_at,
            deleted_at,
        ))
    }
}

/// A todo to be made.
#[derive(Debug, Clone)]
pub struct NewTodo {
    /// Id to give it.
    pub id: Uuid,
    /// What is to do.
    pub title: Title,
    /// More about it.
    pub description: Option<Description>,
    /// Whether it is done already.
    pub completed: bool,
    /// When it is due.
    pub due_at: Option<OffsetDateTime>,
    /// How pressing it is.
    pub priority: Priority,
    /// Tags of the owner to put on it, each once.
    pub tag_ids: Vec<Uuid>,
}

impl NewTodo {
    /// The todo that it becomes for `owner` at `now`, with these tags on it.
    pub fn made(&self, owner: Uuid, now: OffsetDateTime, tags: Vec<TagRef>) -> Todo {
        Todo {
            id: self.id,
            user_id: owner,
            title: self.title.as_str().to_owned(),
            description: self.description.as_ref().map(|text| text.as_str().to_owned()),
            completed_at: self.completed.then_some(now),
            due_at: self.due_at,
            priority: self.priority,
            tags,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }
}
