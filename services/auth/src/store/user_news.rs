//! What a store does when it hears of users.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Ending;
use crate::Error;
use crate::domain::EndedSession;

/// News of users, each brought by a message that takes effect once.
#[async_trait]
pub trait UserNews: Send + Sync {
    /// Ends the sessions of a user who was deleted at `at`; those that began later belong to a user who was brought back. Tells the sessions that
    /// ended with it.
    async fn user_deleted(
        &self,
        message_id: Uuid,
        account_id: Uuid,
        at: OffsetDateTime,
        ending: Ending,
        deadline: Deadline,
    ) -> Result<Vec<EndedSession>, Error>;

    /// Notes the tier of a user, which travels in the tokens that are made from now on.
    async fn user_tier_changed(
        &self,
        message_id: Uuid,
        account_id: Uuid,
        tier: Option<&str>,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;
}
