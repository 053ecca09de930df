//! The address that an account is reached at.

use std::fmt;

use quartet_rpc::violations::{Rule, email};

/// An e-mail address (RFC 5321 §4.1.2): kept as its owner writes it, compared without regard to case.
#[derive(Debug, Clone)]
pub struct Email(String);

impl Email {
    /// Characters at the most (RFC 5321 §4.5.3.1.3, less the brackets).
    pub const MAX: usize = 254;

    /// Parses an address, under the rule that the users service holds it to as well.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        email::parse(text).map(Self)
    }

    /// The address as its owner writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the address is unique and found by: the same for every spelling in upper and lower case.
    pub fn key(&self) -> String {
        email::key(&self.0)
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(self.as_str(), |(local, _)| local)
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Email {}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_spelling_and_compares_without_case() {
        let email = Email::parse("Ann.Lee+Todo@Example.org").unwrap();
        assert_eq!(email.as_str(), "Ann.Lee+Todo@Example.org");
        assert_eq!(email, Email::parse("ann.lee+todo@example.ORG").unwrap());
        assert_eq!(email.local_part(), "Ann.Lee+Todo");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "ann",
            "ann@",
            "@example.org",
            "ann@localhost",
            "ann lee@example.org",
            "ann@exa mple.org",
            "a@b@example.org",
            "ann@[127.0.0.1]",
            "\"ann lee\"@example.org",
            "анна@example.org",
        ] {
            assert_eq!(Email::parse(wrong).unwrap_err().name, "STRING_EMAIL", "{wrong:?}");
        }
        for wrong in ["ann@example.org\r\nBcc: eve@example.org", "ann\0@example.org"] {
            assert_eq!(Email::parse(wrong).unwrap_err().name, "CONTROL_CHARACTERS", "{wrong:?}");
        }
        assert_eq!(Email::parse("").unwrap_err().name, "REQUIRED");
        let long = format!("ann@{}.org", "x".repeat(260));
        assert_eq!(Email::parse(&long).unwrap_err().name, "STRING_MAX_LEN");
    }
}
