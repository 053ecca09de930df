//! The picture of a user.

use quartet_kernel::{Rule, url};

/// An http or https URL of at most 2048 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUrl(String);

impl ImageUrl {
    /// Parses a URL.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        url::http(raw, 2048).map(Self)
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
