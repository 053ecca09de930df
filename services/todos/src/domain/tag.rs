//! A tag.

use quartet_kernel::{Etag, Rule, text};
use time::OffsetDateTime;
use uuid::Uuid;

/// A word to find todos by, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// UUIDv7.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// Unique among the user's tags, without regard to case.
    pub name: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl Tag {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            id,
            user_id,
            name,
            created_at,
            updated_at,
        } = self;
        Etag::of(&(id, user_id, name, created_at, updated_at))
    }
}

/// A tag as a todo shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagRef {
    /// UUIDv7.
    pub id: Uuid,
    /// Unique among the user's tags.
    pub name: String,
}

/// Characters of a name at the most.
const MAX: usize = 30;

/// 1 to 30 characters, not all blank, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagName(String);

impl TagName {
    /// Parses a name; blanks around it are dropped.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::line(raw, 1, MAX).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is compared with others.
    pub fn key(&self) -> String {
        name_key(&self.0)
    }
}

/// The name of a tag as it is compared with others: in lower case.
pub fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// The name for a tag whose own one is taken: with a number from 2 on.
pub fn numbered_name(name: &str, number: u32) -> String {
    let suffix = format!(" {number}");
    let start: String = name.chars().take(MAX - suffix.len()).collect();
    format!("{}{suffix}", start.trim_end())
}
