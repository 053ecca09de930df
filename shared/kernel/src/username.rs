//! The name that an account signs in with.

use std::fmt;

use crate::{Rule, text};

/// A user name: 2 to 20 lower-case ASCII letters and digits. The auth service sees to it that no
/// two accounts share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    /// Characters of a user name at the least.
    pub const MIN: usize = 2;
    /// Characters of a user name at the most.
    pub const MAX: usize = 20;

    /// Parses a name exactly as it is given: nothing is trimmed, and a name that differs in case is
    /// refused, not folded, so that what a client sent is what it gets.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        let username = text::length(raw, Self::MIN, Self::MAX)?;
        if username
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            return Ok(Self(username));
        }
        Err(Rule::new(
            "STRING_PATTERN",
            "must be lower-case letters and digits alone",
        ))
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
    fn lower_case_letters_and_digits_make_a_user_name() {
        for right in ["ab", "user42", "a1b2c3", "42", &"z".repeat(20)] {
            assert_eq!(Username::parse(right).unwrap().as_str(), right);
        }
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        for (wrong, rule) in [
            ("", "REQUIRED"),
            ("a", "STRING_MIN_LEN"),
            (&"z".repeat(21), "STRING_MAX_LEN"),
            ("Alice", "STRING_PATTERN"),
            ("al ice", "STRING_PATTERN"),
            (" alice", "STRING_PATTERN"),
            ("алиса", "STRING_PATTERN"),
            ("al\0ce", "STRING_PATTERN"),
        ] {
            assert_eq!(Username::parse(wrong).unwrap_err().name, rule, "{wrong:?}");
        }
    }
}
