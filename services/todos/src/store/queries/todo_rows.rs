//! The row of a todo, with the tags on it.

use quartet_store::Timestamp;
use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Priority, Todo};
use crate::store::tagged::{self, Tagged};

/// The columns of a todo.
macro_rules! todo_columns {
    () => {
        concat!(
            "id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at, ",
            super::tags_of_todo!(),
            " as tags"
        )
    };
}
pub(super) use todo_columns;

/// A todo, as a query on `todos` selects it by [`todo_columns`]. In JSON, an array in their order.
#[derive(FromRow, Deserialize)]
pub(super) struct TodoRow {
    pub(super) id: Uuid,
    user_id: Uuid,
    title: String,
    description: Option<String>,
    pub(super) completed_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    priority: i16,
    created_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
    tags: Tagged,
}

/// A row of a list, with the list's total where it is counted.
#[derive(FromRow, Deserialize)]
pub(super) struct ListRow {
    #[sqlx(flatten)]
    pub(super) todo: TodoRow,
    pub(super) total: Option<i64>,
}

impl TodoRow {
    /// How many tags are on it.
    pub(super) fn tag_count(&self) -> usize {
        self.tags.as_ref().map_or(0, |tags| tags.len())
    }

    /// The error for the first of these tags that is not on it.
    pub(super) fn missing_tag(&self, tag_ids: &[Uuid]) -> Error {
        let on_it = self.tags.as_ref().map_or(&[][..], |tags| tags.as_slice());
        let missing = tag_ids.iter().find(|id| !on_it.iter().any(|tag| tag.0 == **id));
        Error::TagNotFound {
            id: missing.copied().unwrap_or_default(),
        }
    }
}

impl From<TodoRow> for Todo {
    fn from(row: TodoRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            title: row.title,
            description: row.description,
            completed_at: row.completed_at.map(Into::into),
            due_at: row.due_at.map(Into::into),
            // The column holds only what `Priority::number` returns.
            priority: Priority::from_number(row.priority).unwrap_or_default(),
            tags: tagged::tags(row.tags),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            deleted_at: row.deleted_at.map(Into::into),
        }
    }
}
