//! A todo's description.

use quartet_kernel::{Rule, text};

/// At most 250 characters; line breaks and tabs are fine, other control characters are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// Parses a description.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::block(raw, 250).map(Self)
    }

    /// The description.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
