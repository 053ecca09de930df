//! Rules of text that domain types share.

use super::Rule;

/// One line of `min` to `max` characters (Unicode scalar values, as `buf.validate` counts). Blanks around it are dropped;
/// control characters are refused.
pub fn line(raw: &str, min: usize, max: usize) -> Result<String, Rule> {
    let text = raw.trim();
    if text.is_empty() && min > 0 {
        return Err(Rule::required());
    }
    if text.chars().any(char::is_control) {
        return Err(Rule::new("CONTROL_CHARACTERS", "must not contain control characters"));
    }
    length(text, min, max)
}

/// Text of at most `max` characters. Line breaks and tabs are kept; other control characters are refused.
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
        count if count > max => Err(Rule::new("STRING_MAX_LEN", format!("must be at most {max} characters"))),
        _ => Ok(text.to_owned()),
    }
}
