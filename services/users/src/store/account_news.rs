//! What a store does when it hears of accounts.

use async_trait::async_trait;
use quartet_rpc::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Account, Role};

/// News of accounts, each brought by a message that takes effect once.
#[async_trait]
pub trait AccountNews: Send + Sync {
    /// Makes the user of a new account, unless a call has made it before, which knows what the account's fields are by now, or the user was purged
    /// meanwhile.
    async fn account_registered(
        &self,
        message_id: Uuid,
        account: &Account,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// Copies the role of an account.
    async fn account_role_changed(
        &self,
        message_id: Uuid,
        id: Uuid,
        role: Role,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// Deletes the user of an account that was deleted for good.
    async fn account_deleted(
        &self,
        message_id: Uuid,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;
}
