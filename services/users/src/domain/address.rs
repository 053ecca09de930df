//! An e-mail address.

use quartet_rpc::violations::{Rule, email};

/// An e-mail address as its owner wrote it; the auth service sees to it that no two accounts share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Parses an address.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        email::parse(raw).map(Self)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
