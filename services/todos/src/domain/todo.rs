//! A todo.

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
