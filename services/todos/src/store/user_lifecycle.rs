//! What a store does when users are deleted, restored and purged.

use async_trait::async_trait;
use quartet_messaging::Consumer;
use quartet_store::Context;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;

/// The lifecycle of users. Their events take effect through [`Consumer`]: a deletion deletes the
/// user's todos softly, a restoration restores those that were deleted with the user, a purge
/// deletes all that the user owned.
#[async_trait]
pub trait UserLifecycle: Consumer {
    /// Deletes for good all that one user owned who was deleted before `before`; `None` when there
    /// is no such user.
    async fn purge_deleted_user(&self, before: OffsetDateTime, cx: &Context) -> Result<Option<Uuid>, Error>;
}
