//! The address that a person is reached at.

use std::fmt;

use email_address::EmailAddress;

use crate::{Rule, text};

/// An e-mail address as people have them: the mailbox of RFC 5321 §4.1.2 with a dot-string before
/// the `@` and a domain name of at least two labels after it. It is kept as its owner writes it and
/// compared without regard to case. The auth service sees to it that no two accounts share one.
#[derive(Debug, Clone)]
pub struct Email(String);

impl Email {
    /// Characters of an address at the most (RFC 5321 §4.5.3.1.3, less the angle brackets).
    pub const MAX: usize = 254;

    /// Parses an address.
    ///
    /// Quoted local parts and address literals are refused, since hardly a mail system takes them.
    /// An internationalised domain is written in its ASCII form (`xn--…`).
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        let address = text::length(raw, 1, Self::MAX)?;
        text::refuse_control_characters(&address)?;
        match address.rsplit_once('@') {
            Some((local, domain)) if is_local(local) && is_domain(domain) => Ok(Self(address)),
            _ => Err(Rule::new("STRING_EMAIL", "must be an e-mail address")),
        }
    }

    /// The address as its owner writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the address is unique and found by: the address in lower case. The standard lets a mail
    /// system tell `A@…` from `a@…`; none that matters does, and people type both.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
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

/// A dot-string of at most 64 characters (RFC 5321 §4.1.2). The library takes quoted strings and
/// other scripts too.
fn is_local(local: &str) -> bool {
    local.is_ascii() && !local.starts_with('"') && EmailAddress::is_valid_local_part(local)
}

/// A domain name of letters, digits and inner hyphens; the last label has a letter, so that no IPv4
/// address passes for one. The library takes single labels, address literals and other characters
/// too.
fn is_domain(domain: &str) -> bool {
    let Some((_, top)) = domain.rsplit_once('.') else {
        return false;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    domain.bytes().all(plain)
        && top.bytes().any(|byte| byte.is_ascii_alphabetic())
        && EmailAddress::is_valid_domain(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_have_them_are_taken_as_given() {
        for right in [
            "a@b.co",
            "Ada.Lovelace+todos@Example.org",
            "o'neil_99@mail.example.co.uk",
            "post@xn--bcher-kva.example",
            &format!("{}@example.org", "x".repeat(64)),
            &format!("x@{}.example.org", "y".repeat(63)),
        ] {
            assert_eq!(Email::parse(right).unwrap().as_str(), right);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "plain",
            "@example.org",
            "a@",
            "a@localhost",
            "a@example..org",
            "a@.example.org",
            "a@example.org.",
            "a@-example.org",
            "a@example-.org",
            "a@127.0.0.1",
            "a@[127.0.0.1]",
            "a@exa_mple.org",
            "a@b@example.org",
            ".a@example.org",
            "a.@example.org",
            "a..b@example.org",
            "\"a b\"@example.org",
            "a b@example.org",
            " a@example.org",
            "a@example.org ",
            "ä@example.org",
            "a@bücher.example",
            "Ada <a@example.org>",
            "ann",
            "@",
            "ann@exa mple.org",
            "анна@example.org",
            "a@example.123",
            "a(b)@example.org",
            "a,b@example.org",
            &format!("{}@example.org", "x".repeat(65)),
            &format!("x@{}.example.org", "y".repeat(64)),
        ] {
            assert_eq!(Email::parse(wrong).unwrap_err().name, "STRING_EMAIL", "{wrong:?}");
        }
    }

    #[test]
    fn length_and_control_characters_have_rules_of_their_own() {
        let label = "y".repeat(60);
        let long = format!("x@{label}.{label}.{label}.{label}.example");
        assert!(Email::parse(&long).is_ok());
        assert_eq!(Email::parse(&format!("xxx{long}")).unwrap_err().name, "STRING_MAX_LEN");
        assert_eq!(Email::parse("a\0@example.org").unwrap_err().name, "CONTROL_CHARACTERS");
        for wrong in ["a@example.org\r\n", "ann@example.org\r\nBcc: eve@example.org"] {
            assert_eq!(Email::parse(wrong).unwrap_err().name, "CONTROL_CHARACTERS");
        }
        assert_eq!(Email::parse("").unwrap_err().name, "REQUIRED");
    }

    #[test]
    fn an_address_keeps_its_spelling_and_compares_without_case() {
        let email = Email::parse("Ann.Lee+Todo@Example.org").unwrap();
        assert_eq!(email.as_str(), "Ann.Lee+Todo@Example.org");
        assert_eq!(email.key(), "ann.lee+todo@example.org");
        assert_eq!(email, Email::parse("ann.lee+todo@example.ORG").unwrap());
        assert_eq!(email.local_part(), "Ann.Lee+Todo");
    }
}
