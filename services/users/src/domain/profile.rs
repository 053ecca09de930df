//! What users write about themselves.

use quartet_kernel::{Etag, Rule, text, url};
use time::OffsetDateTime;
use uuid::Uuid;

/// A profile, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Whose it is.
    pub user_id: Uuid,
    /// What the user writes of themselves.
    pub bio: Option<String>,
    /// URL of a picture.
    pub avatar_url: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl Profile {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            user_id,
            bio,
            avatar_url,
            created_at,
            updated_at,
        } = self;
        Etag::of(&(user_id, bio, avatar_url, created_at, updated_at))
    }
}

/// The fields to write; `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct ProfileEdit {
    /// What the user writes of themselves.
    pub bio: Option<Option<Bio>>,
    /// URL of a picture.
    pub avatar_url: Option<Option<AvatarUrl>>,
}

/// At most 250 characters; line breaks and tabs are fine, other control characters are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bio(String);

impl Bio {
    /// Parses a bio.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::block(raw, 250).map(Self)
    }

    /// The bio.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An http or https URL of at most 250 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvatarUrl(String);

impl AvatarUrl {
    /// Parses a URL.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        url::http(raw, 250).map(Self)
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
