//! What a store does when users go and come back.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;

/// News of a user, as a message brought it.
#[derive(Debug, Clone, Copy)]
pub struct UserNews {
    /// The message, which takes effect once.
    pub message_id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// When it happened.
    pub at: OffsetDateTime,
}

/// Users who go and come back. Every function that takes [`UserNews`] does nothing when it has done that message before.
#[async_trait]
pub trait Departures: Send + Sync {
    /// Deletes the user's todos softly, and notes since when the user is gone.
    async fn user_deleted(&self, news: UserNews, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error>;

    /// Brings back the todos that went with the user; those that the user had deleted stay deleted.
    async fn user_restored(&self, news: UserNews, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error>;

    /// Deletes all that the user owned for good.
    async fn user_purged(&self, news: UserNews, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error>;

    /// Deletes for good all that one user owned who went before `before`; `None` when nobody did.
    async fn purge_departed(&self, before: OffsetDateTime, deadline: Deadline) -> Result<Option<Uuid>, Error>;
}
