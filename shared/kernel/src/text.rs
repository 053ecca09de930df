//! Rules of text that domain types share.

use crate::Rule;

/// One line of `min` to `max` characters (Unicode scalar values, which is how `buf.validate`
/// counts). Blanks around it are dropped; control characters are refused.
pub fn line(raw: &str, min: usize, max: usize) -> Result<String, Rule> {
    let text = raw.trim();
    if text.is_empty() && min > 0 {
        return Err(Rule::required());
    }
    refuse_control_characters(text)?;
    length(text, min, max)
}

/// Text of at most `max` characters. Line breaks and tabs are kept; other control characters are
/// refused.
pub fn block(raw: &str, max: usize) -> Result<String, Rule> {
    if raw.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Rule::new(
            "CONTROL_CHARACTERS",
            "must not contain control characters other than line breaks and tabs",
        ));
    }
    length(raw, 0, max)
}

/// Text of `min` to `max` characters, as it is.
pub fn length(text: &str, min: usize, max: usize) -> Result<String, Rule> {
    match text.chars().count() {
        0 if min > 0 => Err(Rule::required()),
        count if count < min => Err(Rule::new(
            "STRING_MIN_LEN",
            format!("must be at least {min} characters"),
        )),
        count if count > max => Err(too_long(max)),
        _ => Ok(text.to_owned()),
    }
}

/// Text of at most `max` characters without control characters, kept with the blanks around it;
/// empty is "required".
pub fn required(text: &str, max: usize) -> Result<&str, Rule> {
    if text.is_empty() {
        return Err(Rule::required());
    }
    refuse_control_characters(text)?;
    if text.chars().count() > max {
        return Err(too_long(max));
    }
    Ok(text)
}

/// The text without control characters, cut to `max` characters: for what a client sends about itself,
/// which is shown and never trusted.
pub fn sanitize(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max).collect()
}

/// Refuses NUL and the other control characters: no single line of text needs them, and a
/// PostgreSQL text cannot hold NUL.
pub(crate) fn refuse_control_characters(text: &str) -> Result<(), Rule> {
    if text.chars().any(char::is_control) {
        return Err(Rule::new("CONTROL_CHARACTERS", "must not contain control characters"));
    }
    Ok(())
}

fn too_long(max: usize) -> Rule {
    Rule::new("STRING_MAX_LEN", format!("must be at most {max} characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_and_other_control_characters_are_refused() {
        for text in ["a\0b", "a\nb", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(required(text, 10).unwrap_err().name, "CONTROL_CHARACTERS");
            assert_eq!(line(text, 0, 10).unwrap_err().name, "CONTROL_CHARACTERS");
        }
        assert!(required("Żółć 日本", 10).is_ok());
    }

    #[test]
    fn a_required_text_is_neither_empty_nor_too_long_and_keeps_its_blanks() {
        assert_eq!(required("", 3).unwrap_err().name, "REQUIRED");
        assert_eq!(required("日本語文", 3).unwrap_err().name, "STRING_MAX_LEN");
        assert_eq!(required(" a ", 3), Ok(" a "));
    }

    #[test]
    fn a_sanitized_text_is_cut_between_characters() {
        assert_eq!(sanitize("日本\0語", 2), "日本");
    }
}
