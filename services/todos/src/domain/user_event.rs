//! What happened to a user, as far as it concerns their todos.

use time::OffsetDateTime;
use uuid::Uuid;

/// A user was deleted, restored or purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserEvent {
    /// What happened.
    pub kind: UserEventKind,
    /// The user.
    pub user_id: Uuid,
    /// When it happened.
    pub at: OffsetDateTime,
}

/// What happened to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserEventKind {
    /// Deleted softly.
    Deleted,
    /// Restored after a deletion.
    Restored,
    /// Deleted for good.
    Purged,
}
