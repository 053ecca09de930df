//! A todo's title.

use quartet_kernel::{Rule, text};

/// 1 to 100 characters, not all blank, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title(String);

impl Title {
    /// Parses a title; blanks around it are dropped.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::line(raw, 1, 100).map(Self)
    }

    /// The title.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_counted_in_characters() {
        assert!(Title::parse(&"ё".repeat(100)).is_ok());
        assert_eq!(Title::parse(&"ё".repeat(101)).unwrap_err().name, "STRING_MAX_LEN");
    }

    #[test]
    fn a_blank_title_is_missing() {
        assert_eq!(Title::parse(" \t ").unwrap_err().name, "REQUIRED");
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(Title::parse("a\0b").unwrap_err().name, "CONTROL_CHARACTERS");
    }
}
