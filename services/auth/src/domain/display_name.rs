//! The name that a user shows to others.

use quartet_rpc::violations::Rule;

use super::text::refuse_control_characters;

/// A name shown to others: 2 to 30 characters, without blanks at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Parses a name; `None` when it is left empty.
    pub fn parse(text: &str) -> Result<Option<Self>, Rule> {
        refuse_control_characters(text)?;
        let text = text.trim();
        match text.chars().count() {
            0 => Ok(None),
            1 => Err(Rule::new("STRING_MIN_LEN", "must be at least 2 characters")),
            2..=30 => Ok(Some(Self(text.to_owned()))),
            _ => Err(Rule::new("STRING_MAX_LEN", "must be at most 30 characters")),
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
    fn a_name_counts_characters_and_not_bytes() {
        let name = "Ж".repeat(30);
        assert_eq!(DisplayName::parse(&name).unwrap().unwrap().as_str(), name);
        assert_eq!(DisplayName::parse("").unwrap(), None);
    }

    #[test]
    fn a_broken_rule_is_named() {
        for (text, rule) in [
            ("x".into(), "STRING_MIN_LEN"),
            ("x".repeat(31), "STRING_MAX_LEN"),
            ("a\0b".into(), "CONTROL_CHARACTERS"),
        ] {
            assert_eq!(DisplayName::parse(&text).unwrap_err().name, rule);
        }
    }
}
