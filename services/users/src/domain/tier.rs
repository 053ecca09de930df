//! A class of users that share rate limits.

use quartet_kernel::{Etag, Rule, text};
use time::OffsetDateTime;
use uuid::Uuid;

/// A tier, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Tier {
    /// UUIDv7.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl Tier {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            id,
            name,
            created_at,
            updated_at,
        } = self;
        Etag::of(&(id, name, created_at, updated_at))
    }
}

/// 1 to 50 lower-case letters, digits, hyphens and underscores; a letter or digit comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierName(String);

impl TierName {
    /// Characters at the most.
    pub const MAX: usize = 50;

    /// Parses a name.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        let name = text::length(raw, 1, Self::MAX)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = name.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_'));
        match name.bytes().next() {
            Some(first) if plain(first) && fits => Ok(Self(name)),
            _ => Err(Rule::new(
                "STRING_PATTERN",
                "must be lower-case letters, digits, - and _, with a letter or digit in front",
            )),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_name_is_one_plain_word() {
        for right in ["free", "0", "pro_2-plus", &"x".repeat(50)] {
            assert_eq!(TierName::parse(right).unwrap().as_str(), right);
        }
        for (wrong, rule) in [
            ("", "REQUIRED"),
            (&*"x".repeat(51), "STRING_MAX_LEN"),
            ("-free", "STRING_PATTERN"),
            ("_free", "STRING_PATTERN"),
            ("Free", "STRING_PATTERN"),
            ("free ", "STRING_PATTERN"),
            ("fr/ee", "STRING_PATTERN"),
            ("fr\0ee", "STRING_PATTERN"),
        ] {
            assert_eq!(TierName::parse(wrong).unwrap_err().name, rule, "{wrong:?}");
        }
    }
}
