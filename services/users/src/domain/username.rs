//! A user name.

use quartet_rpc::violations::{Rule, username};

/// 2 to 20 lower-case letters and digits; the auth service sees to it that no two accounts share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Parses a user name.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        username::parse(raw).map(Self)
    }

    /// The user name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
