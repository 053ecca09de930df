//! Signing keys.

use async_trait::async_trait;
use quartet_store::Context;
use time::OffsetDateTime;

use crate::Error;
use crate::domain::SigningKey;

/// Signing keys.
#[async_trait]
pub trait SigningKeys: Send + Sync {
    /// Every key, the oldest first.
    async fn list_keys(&self, cx: &Context) -> Result<Vec<SigningKey>, Error>;

    /// Adds the first key of its algorithm, unless another process was faster.
    async fn insert_first_key(&self, key: &SigningKey, cx: &Context) -> Result<(), Error>;

    /// Puts `key` in the place of its algorithm's current one, which retires when `key` becomes
    /// active and verifies until `old_expires_at`.
    ///
    /// Errors: [`Error::RotationUnderWay`].
    async fn rotate_key(&self, key: &SigningKey, old_expires_at: OffsetDateTime, cx: &Context) -> Result<(), Error>;

    /// Ends the key named `kid` now, and puts `replacement` in its place. One that has ended already
    /// stays as it is.
    ///
    /// Errors: [`Error::RotationUnderWay`].
    async fn revoke_key(&self, kid: &str, replacement: Option<&SigningKey>, cx: &Context) -> Result<(), Error>;
}
