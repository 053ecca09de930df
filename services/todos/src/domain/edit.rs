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
    /// Whether it completes or reopens a todo and does nothing else. Done to a todo that stands so
    /// already, it is no change.
    pub fn is_completion(&self) -> bool {
        matches!(
            self,
            Self {
                title: None,
                description: None,
                completed: Some(_),
                due_at: None,
                priority: None,
                tag_ids: None,
            }
        )
    }

    /// What the feed of changes calls it: completing and reopening by themselves have names of
    /// their own.
    pub fn kind(&self) -> ChangeKind {
        match self.completed {
            Some(true) if self.is_completion() => ChangeKind::Completed,
            Some(false) if self.is_completion() => ChangeKind::Reopened,
            _ => ChangeKind::Updated,
        }
    }
}
