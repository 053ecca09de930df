//! What a store does with rate limits.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use uuid::Uuid;

use crate::Error;
use crate::domain::{NewRateLimit, RateLimit, RateLimitEdit, TierName};

/// Rate limits, each of one tier. Every function that is given a tier fails with
/// [`Error::TierNotFound`] when the tier is not there.
#[async_trait]
pub trait RateLimits: Send + Sync {
    /// Makes a rate limit.
    ///
    /// Errors: [`Error::RateLimitExists`], [`Error::RateLimitNameTaken`].
    async fn insert_rate_limit(&self, tier: &TierName, new: &NewRateLimit, cx: &Context) -> Result<RateLimit, Error>;

    /// The rate limit.
    async fn find_rate_limit(&self, tier: &TierName, id: Uuid, cx: &Context) -> Result<Option<RateLimit>, Error>;

    /// A page of the tier's rate limits, by path.
    async fn list_rate_limits(
        &self,
        tier: &TierName,
        page: &Page<String>,
        cx: &Context,
    ) -> Result<PageResult<RateLimit>, Error>;

    /// The rate limits of all tiers.
    async fn list_all_rate_limits(&self, cx: &Context) -> Result<Vec<RateLimit>, Error>;

    /// A page of the rate limits that the user's tier sets, by path; none without a tier.
    ///
    /// Errors: [`Error::UserNotFound`].
    async fn list_user_rate_limits(
        &self,
        user_id: Uuid,
        page: &Page<String>,
        cx: &Context,
    ) -> Result<PageResult<RateLimit>, Error>;

    /// Writes the fields of `edit`.
    ///
    /// Errors: [`Error::RateLimitExists`], [`Error::RateLimitNameTaken`].
    async fn update_rate_limit(
        &self,
        tier: &TierName,
        id: Uuid,
        edit: &RateLimitEdit,
        cx: &Context,
    ) -> Result<Option<RateLimit>, Error>;

    /// Deletes a rate limit; whether there was one.
    async fn delete_rate_limit(&self, tier: &TierName, id: Uuid, cx: &Context) -> Result<bool, Error>;
}
