//! What a store does when it hears of accounts.

use async_trait::async_trait;
use quartet_kernel::{Deadline, Role};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::Account;

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

    /// Deletes the user of an account that is closed, or brings them back with one that is open again, if a call that should have done so was
    /// broken off between the two. What has happened to the user since `told_at` stays.
    async fn account_status_changed(
        &self,
        message_id: Uuid,
        id: Uuid,
        closed: bool,
        told_at: OffsetDateTime,
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
