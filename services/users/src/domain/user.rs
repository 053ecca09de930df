//! A user.

use quartet_kernel::{DisplayName, Email, Etag, Role, Username};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::ImageUrl;

/// A person, as they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Id of the account, too.
    pub id: Uuid,
    /// Name shown to others.
    pub name: String,
    /// Copy of the account's user name.
    pub username: String,
    /// Copy of the account's address.
    pub email: String,
    /// Copy of the account's role.
    pub role: Role,
    /// Picture shown to others.
    pub profile_image_url: Option<String>,
    /// Name of the user's tier.
    pub tier: Option<String>,
    /// When the user was made.
    pub created_at: OffsetDateTime,
    /// When the user last changed.
    pub updated_at: OffsetDateTime,
    /// When the user was deleted, if they are.
    pub deleted_at: Option<OffsetDateTime>,
}

impl User {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            id,
            name,
            username,
            email,
            role,
            profile_image_url,
            tier,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        Etag::of(&(
            id,
            name,
            username,
            email,
            role,
            profile_image_url,
            tier,
            created_at,
            updated_at,
            deleted_at,
        ))
    }
}

/// The fields to write; `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct UserEdit {
    /// Name shown to others.
    pub name: Option<DisplayName>,
    /// The account's user name.
    pub username: Option<Username>,
    /// The account's address.
    pub email: Option<Email>,
    /// Picture shown to others.
    pub profile_image_url: Option<Option<ImageUrl>>,
    /// The address that is requested and yet to be proven, once the account has been changed.
    pub pending_email: Option<String>,
    /// When the account last changed of which name and address are copied; they are left as they
    /// are if the user knows a newer one.
    pub account_at: Option<OffsetDateTime>,
}

impl UserEdit {
    /// Whether it writes what the auth service decides on.
    pub fn touches_account(&self) -> bool {
        self.username.is_some() || self.email.is_some()
    }
}

/// Which users a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Those who are deleted, in place of those who are there.
    pub deleted: bool,
    /// Those whose name or user name holds this text, without regard to the case of ASCII letters.
    pub name: Option<String>,
    /// Those whose address holds this text, likewise.
    pub email: Option<String>,
}

impl UserFilter {
    /// Whether it shows more than a user may see.
    pub fn is_for_superusers(&self) -> bool {
        *self != Self::default()
    }
}

/// Where a user stands in the list, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// When the user was made, in microseconds since the epoch.
    pub created_at: i64,
    /// Decides ties.
    pub id: Uuid,
}

impl Key {
    /// Where `user` stands.
    pub fn of(user: &User) -> Self {
        Self {
            created_at: (user.created_at.unix_timestamp_nanos() / 1_000) as i64,
            id: user.id,
        }
    }
}
