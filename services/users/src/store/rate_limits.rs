//! What a store does with rate limits.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{NewRateLimit, RateLimit, RateLimitEdit, TierName};

/// Rate limits, each of one tier. Every function but `list_user_rate_limits` fails with [`Error::TierNotFound`] when the tier is not there.
#[async_trait]
pub trait RateLimits: Send + Sync {
    /// Makes a rate limit.
    ///
    /// Errors: [`Error::RateLimitExists`], [`Error::RateLimitNameTaken`].
    async fn insert_rate_limit(
        &self,
        tier: &TierName,
        new: &NewRateLimit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<RateLimit, Error>;

    /// The rate limit.
    async fn find_rate_limit(&self, tier: &TierName, id: Uuid, deadline: Deadline) -> Result<Option<RateLimit>, Error>;

    /// The tier's rate limits, by path.
    async fn list_rate_limits(&self, tier: &TierName, deadline: Deadline) -> Result<Vec<RateLimit>, Error>;

    /// The rate limits that the user's tier sets, by path; none without a tier.
    ///
    /// Errors: [`Error::UserNotFound`].
    async fn list_user_rate_limits(&self, user_id: Uuid, deadline: Deadline) -> Result<Vec<RateLimit>, Error>;

    /// Writes the fields of `edit`.
    ///
    /// Errors: [`Error::RateLimitExists`], [`Error::RateLimitNameTaken`].
    async fn update_rate_limit(
        &self,
        tier: &TierName,
        id: Uuid,
        edit: &RateLimitEdit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<RateLimit>, Error>;

    /// Deletes a rate limit; whether there was one.
    async fn delete_rate_limit(&self, tier: &TierName, id: Uuid, deadline: Deadline) -> Result<bool, Error>;
}
