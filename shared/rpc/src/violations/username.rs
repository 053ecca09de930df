//! The rule of user names, which the auth service keeps and the users service shows.

use super::{Rule, text};

/// Characters of a user name at the least.
const MIN: usize = 2;
/// Characters of a user name at the most.
const MAX: usize = 20;

/// A user name: 2 to 20 lower-case ASCII letters and digits. Nothing is trimmed or folded, so what a client sent is what it gets.
pub fn parse(raw: &str) -> Result<String, Rule> {
    let username = text::length(raw, MIN, MAX)?;
    if username
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        return Ok(username);
    }
    Err(Rule::new(
        "STRING_PATTERN",
        "must be lower-case letters and digits alone",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_letters_and_digits_make_a_user_name() {
        for right in ["ab", "user42", "42", &"z".repeat(20)] {
            assert_eq!(parse(right).as_deref(), Ok(right));
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
            assert_eq!(parse(wrong).unwrap_err().name, rule, "{wrong:?}");
        }
    }
}
