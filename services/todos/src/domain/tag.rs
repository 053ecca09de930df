//! A tag.

use quartet_kernel::{Rule, text};
use time::OffsetDateTime;
use uuid::Uuid;

/// A word to find todos by, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// UUIDv7.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// Unique among the user's tags.
    pub name: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// A tag as a todo shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRef {
    /// UUIDv7.
    pub id: Uuid,
    /// Unique among the user's tags.
    pub name: String,
}

/// 1 to 30 characters, not all blank, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagName(String);

impl TagName {
    /// Parses a name; blanks around it are dropped.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::line(raw, 1, 30).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
