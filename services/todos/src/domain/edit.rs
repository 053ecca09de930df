//! A change of a todo.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{ChangeKind, Description, Priority, Title};

/// The fields to write; `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// What is to do.
    pub title: Option<Title>,
    /// More about it.
    pub description: Option<Option<Description>>,
    /// Whether it is done.
    pub completed: Option<bool>,
    /// When it is due.
    pub due_at: Option<Option<OffsetDateTime>>,
    /// How pressing it is.
    pub priority: Option<Priority>,
    /// Tags of the owner to have on it, each once.
    pub tag_ids: Option<Vec<Uuid>>,
}

impl Edit {
    /// What the feed of changes calls it: completing and reopening by themselves have names of their own.
    pub fn kind(&self) -> ChangeKind {
        let alone = self.title.is_none()
            && self.description.is_none()
            && self.due_at.is_none()
            && self.priority.is_none()
            && self.tag_ids.is_none();
        match self.completed {
            Some(true) if alone => ChangeKind::Completed,
            Some(false) if alone => ChangeKind::Reopened,
            _ => ChangeKind::Updated,
        }
    }
}
