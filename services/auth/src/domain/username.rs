//! The name that an account signs in with.

use std::fmt;

use quartet_rpc::violations::{Rule, username};

/// A user name: 2 to 20 lower-case ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    /// Parses a name exactly as it is given: a name that differs in case is refused, not folded, so that its owner knows it.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        username::parse(text).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_to_twenty_lower_case_letters_and_digits_are_a_name() {
        for right in ["ab", "42", "a1b2c3", "abcdefghij0123456789"] {
            assert!(Username::parse(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn a_broken_rule_is_named() {
        let broken = [
            ("", "REQUIRED"),
            ("a", "STRING_MIN_LEN"),
            ("abcdefghij0123456789x", "STRING_MAX_LEN"),
            ("Alice", "STRING_PATTERN"),
            ("al ice", "STRING_PATTERN"),
            ("алиса", "STRING_PATTERN"),
            ("al\0ice", "STRING_PATTERN"),
        ];
        for (text, rule) in broken {
            assert_eq!(Username::parse(text).unwrap_err().name, rule, "{text:?}");
        }
    }
}
