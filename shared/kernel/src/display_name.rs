//! The name that a user shows to others.

use crate::{Rule, text};

/// A name shown to others: 2 to 30 characters on one line, without blanks at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Characters of a name at the least.
    pub const MIN: usize = 2;
    /// Characters of a name at the most.
    pub const MAX: usize = 30;

    /// Parses a name; blanks around it are dropped.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::line(raw, Self::MIN, Self::MAX).map(Self)
    }

    /// Parses a name that may be left out: none when there are blanks at the most.
    pub fn optional(raw: &str) -> Result<Option<Self>, Rule> {
        match raw.trim() {
            "" => Ok(None),
            name => Self::parse(name).map(Some),
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
    fn a_name_is_counted_in_characters_without_the_blanks_around_it() {
        assert_eq!(DisplayName::parse("  Ёж ").unwrap().as_str(), "Ёж");
        let name = "Ж".repeat(30);
        assert_eq!(DisplayName::parse(&name).unwrap().as_str(), name);
    }

    #[test]
    fn a_broken_rule_is_named() {
        for (text, rule) in [
            ("x", "STRING_MIN_LEN"),
            (" A ", "STRING_MIN_LEN"),
            (&"ё".repeat(31), "STRING_MAX_LEN"),
            ("a\0b", "CONTROL_CHARACTERS"),
            ("Ada\0", "CONTROL_CHARACTERS"),
        ] {
            assert_eq!(DisplayName::parse(text).unwrap_err().name, rule, "{text:?}");
            assert_eq!(DisplayName::optional(text).unwrap_err().name, rule, "{text:?}");
        }
    }

    #[test]
    fn only_an_optional_name_may_be_blank() {
        for blank in ["", "  "] {
            assert_eq!(DisplayName::parse(blank).unwrap_err().name, "REQUIRED");
            assert_eq!(DisplayName::optional(blank), Ok(None));
        }
    }
}
