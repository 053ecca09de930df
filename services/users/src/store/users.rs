//! What a store does with users.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::page::{Page, Rows};
use time::OffsetDateTime;
use uuid::Uuid;

use super::OpenChange;
use crate::Error;
use crate::domain::{Account, Key, TierName, User, UserEdit};

/// Users. A deleted user is found by `list_users`, `list_deleted`, `open_restore` and the purges alone.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes the user of an account, or brings its copy of the account's fields up to date, and returns the name of the user's tier.
    /// Writes nothing when the copy is up to date, or of a newer account. A deleted user stays deleted.
    async fn ensure_user(
        &self,
        account: &Account,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<String>, Error>;

    /// The user.
    async fn find_user(&self, id: Uuid, deadline: Deadline) -> Result<Option<User>, Error>;

    /// The user of that name; of several, the one whose name was told last.
    async fn find_user_by_username(&self, username: &str, deadline: Deadline) -> Result<Option<User>, Error>;

    /// A page of the users, the newest first: those who are there, or those who are deleted.
    async fn list_users(&self, deleted: bool, page: &Page<Key>, deadline: Deadline) -> Result<Rows<User>, Error>;

    /// Writes the fields of `edit`.
    async fn update_user(
        &self,
        id: Uuid,
        edit: &UserEdit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<User>, Error>;

    /// Gives the user a tier, or none.
    ///
    /// Errors: [`Error::TierNotFound`].
    async fn set_tier(
        &self,
        id: Uuid,
        tier: Option<&TierName>,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<User>, Error>;

    /// Deletes the user softly, once it is committed.
    async fn open_delete(&self, id: Uuid, now: OffsetDateTime, deadline: Deadline)
    -> Result<Option<OpenChange>, Error>;

    /// Brings a deleted user back, once it is committed.
    async fn open_restore(
        &self,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<(User, OpenChange)>, Error>;

    /// Deletes the user, deleted softly or not, and their profile for good, once it is committed.
    async fn open_purge(&self, id: Uuid, deadline: Deadline) -> Result<Option<OpenChange>, Error>;

    /// As [`Users::open_purge`], of one who was deleted before a moment and has not come back since.
    async fn open_purge_of_deleted(
        &self,
        id: Uuid,
        before: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<OpenChange>, Error>;

    /// Users who were deleted before a moment, the longest gone first.
    async fn list_deleted(&self, before: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<Vec<Uuid>, Error>;
}
