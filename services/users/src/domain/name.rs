//! The name that others see.

use quartet_rpc::violations::{Rule, text};

/// 2 to 30 characters, not all blank, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Parses a name; blanks around it are dropped.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::line(raw, 2, 30).map(Self)
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
        assert_eq!(Name::parse("  Ёж ").unwrap().as_str(), "Ёж");
        assert!(Name::parse(&"ё".repeat(30)).is_ok());
        assert_eq!(Name::parse(&"ё".repeat(31)).unwrap_err().name, "STRING_MAX_LEN");
        assert_eq!(Name::parse(" A ").unwrap_err().name, "STRING_MIN_LEN");
        assert_eq!(Name::parse("  ").unwrap_err().name, "REQUIRED");
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(Name::parse("Ada\0").unwrap_err().name, "CONTROL_CHARACTERS");
    }
}
