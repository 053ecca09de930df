//! What a store does with users.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use time::OffsetDateTime;
use uuid::Uuid;

use super::PendingChange;
use crate::Error;
use crate::domain::{Account, Key, TierName, User, UserEdit, UserFilter};

/// Users. A deleted user is found by `list_users`, `list_deleted`, `begin_restore` and the purges
/// alone.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes the user of an account, or brings its copy of the account's fields up to date, and
    /// returns the name of the user's tier. Writes nothing when the copy is up to date, or of a
    /// newer account. A deleted user stays deleted.
    async fn ensure_user(&self, account: &Account, cx: &Context) -> Result<Option<String>, Error>;

    /// The user.
    async fn find_user(&self, id: Uuid, cx: &Context) -> Result<Option<User>, Error>;

    /// The user of that name; of several, the one whose name was copied last.
    async fn find_user_by_username(&self, username: &str, cx: &Context) -> Result<Option<User>, Error>;

    /// A page of the users that pass the filter, the newest first.
    async fn list_users(&self, filter: &UserFilter, page: &Page<Key>, cx: &Context) -> Result<PageResult<User>, Error>;

    /// Writes the fields of `edit`.
    async fn update_user(&self, id: Uuid, edit: &UserEdit, cx: &Context) -> Result<Option<User>, Error>;

    /// Gives the user a tier, or none.
    ///
    /// Errors: [`Error::TierNotFound`].
    async fn set_tier(&self, id: Uuid, tier: Option<&TierName>, cx: &Context) -> Result<Option<User>, Error>;

    /// Deletes the user softly, once it is committed.
    async fn begin_delete(&self, id: Uuid, cx: &Context) -> Result<Option<PendingChange>, Error>;

    /// Brings a deleted user back, once it is committed.
    async fn begin_restore(&self, id: Uuid, cx: &Context) -> Result<Option<(User, PendingChange)>, Error>;

    /// Deletes the user, deleted softly or not, and their profile for good, once it is committed.
    async fn begin_purge(&self, id: Uuid, cx: &Context) -> Result<Option<PendingChange>, Error>;

    /// Like [`Users::begin_purge`], of a user who was deleted before `before` and has not come back
    /// since.
    async fn begin_purge_of_deleted(
        &self,
        id: Uuid,
        before: OffsetDateTime,
        cx: &Context,
    ) -> Result<Option<PendingChange>, Error>;

    /// Users who were deleted before `before`, the longest gone first.
    async fn list_deleted(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<Vec<Uuid>, Error>;
}
