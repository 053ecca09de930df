//! What a store does with tiers.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use uuid::Uuid;

use crate::Error;
use crate::domain::{Tier, TierName};

/// Tiers, each identified by its name.
#[async_trait]
pub trait Tiers: Send + Sync {
    /// Makes a tier unless one of that name is there; whether it made one.
    async fn insert_tier(&self, tier: &Tier, cx: &Context) -> Result<bool, Error>;

    /// The tier.
    async fn find_tier(&self, name: &TierName, cx: &Context) -> Result<Option<Tier>, Error>;

    /// The tier of a user who is not deleted.
    ///
    /// Errors: [`Error::UserNotFound`].
    async fn find_user_tier(&self, user_id: Uuid, cx: &Context) -> Result<Option<Tier>, Error>;

    /// A page of the tiers, by name.
    async fn list_tiers(&self, page: &Page<String>, cx: &Context) -> Result<PageResult<Tier>, Error>;

    /// Renames a tier.
    ///
    /// Errors: [`Error::TierNameTaken`].
    async fn rename_tier(&self, name: &TierName, new_name: &TierName, cx: &Context) -> Result<Option<Tier>, Error>;

    /// Deletes a tier with its rate limits and takes it off its users; whether there was one.
    async fn delete_tier(&self, name: &TierName, cx: &Context) -> Result<bool, Error>;
}
