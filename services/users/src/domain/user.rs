//! A user.

use quartet_kernel::{DisplayName, Email, Role, Username};
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
    /// When the account last changed of which name and address are copied; they are left as they are
    /// if the user has copied a newer one.
    pub account_at: Option<OffsetDateTime>,
}

impl UserEdit {
    /// Whether it writes what the auth service decides on.
    pub fn touches_account(&self) -> bool {
        self.username.is_some() || self.email.is_some()
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
