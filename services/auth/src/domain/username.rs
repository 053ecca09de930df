//! The name that an account signs in with.

use std::fmt;

use quartet_rpc::violations::Rule;

/// A user name: 2 to 20 lower-case ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    /// Characters at the least.
    pub const MIN: usize = 2;
    /// Characters at the most.
    pub const MAX: usize = 20;

    /// Parses a name exactly as it is given: a name that differs in case is refused, not folded, so that its owner knows it.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        if text.is_empty() {
            return Err(Rule::required());
        }
        let length = text.chars().count();
        if length < Self::MIN {
            return Err(Rule::new("STRING_MIN_LEN", "must be at least 2 characters"));
        }
        if length > Self::MAX {
            return Err(Rule::new("STRING_MAX_LEN", "must be at most 20 characters"));
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            return Err(Rule::new(
                "STRING_PATTERN",
                "must be lower-case letters and digits only",
            ));
        }
        Ok(Self(text.to_owned()))
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
