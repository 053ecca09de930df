//! What a store does with profiles.

use async_trait::async_trait;
use quartet_store::Context;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Profile, ProfileEdit};

/// Profiles, of users who are not deleted.
#[async_trait]
pub trait Profiles: Send + Sync {
    /// The user's profile.
    ///
    /// Errors: [`Error::UserNotFound`].
    async fn find_profile(&self, user_id: Uuid, cx: &Context) -> Result<Option<Profile>, Error>;

    /// Writes the fields of `edit`, making the profile if there is none.
    ///
    /// Errors: [`Error::UserNotFound`].
    async fn write_profile(&self, user_id: Uuid, edit: &ProfileEdit, cx: &Context) -> Result<Profile, Error>;

    /// Deletes the user's profile; whether there was one.
    ///
    /// Errors: [`Error::UserNotFound`].
    async fn delete_profile(&self, user_id: Uuid, cx: &Context) -> Result<bool, Error>;
}
