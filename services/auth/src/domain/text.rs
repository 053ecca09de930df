//! Rules that every text obeys.

use quartet_rpc::violations::Rule;

/// Refuses NUL and the other control characters: no single line of text needs them, and a PostgreSQL text cannot hold NUL.
pub fn refuse_control_characters(text: &str) -> Result<(), Rule> {
    if text.chars().any(char::is_control) {
        return Err(Rule::new("CONTROL_CHARACTERS", "must not contain control characters"));
    }
    Ok(())
}

/// A text of at most `max` characters without control characters; empty is "required".
pub fn required(text: &str, max: usize) -> Result<&str, Rule> {
    if text.is_empty() {
        return Err(Rule::required());
    }
    bounded(text, max)
}

/// A text of at most `max` characters without control characters.
pub fn bounded(text: &str, max: usize) -> Result<&str, Rule> {
    refuse_control_characters(text)?;
    if text.chars().count() > max {
        return Err(Rule::new("STRING_MAX_LEN", format!("must be at most {max} characters")));
    }
    Ok(text)
}

/// The text without control characters, cut to `max` characters: for what a client tells of itself, which is shown and never trusted.
pub fn tamed(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_and_other_control_characters_are_refused() {
        for text in ["a\0b", "a\nb", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(bounded(text, 10).unwrap_err().name, "CONTROL_CHARACTERS");
        }
        assert!(bounded("Żółć 日本", 10).is_ok());
    }

    #[test]
    fn a_tamed_text_is_cut_between_characters() {
        assert_eq!(tamed("日本\0語", 2), "日本");
    }
}
