//! The rule of ids.

use uuid::Uuid;

use crate::Rule;

/// Parses an id; empty is "required".
pub fn parse(text: &str) -> Result<Uuid, Rule> {
    if text.is_empty() {
        return Err(Rule::required());
    }
    // Only the hyphenated form: the other spellings that the parser takes would name one thing in
    // several ways.
    let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(text)
        .ok()
        .filter(|_| hyphenated)
        .ok_or_else(|| Rule::new("STRING_UUID", "must be a UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let right = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(parse(right).unwrap().to_string(), right);
        assert_eq!(parse("").unwrap_err().name, "REQUIRED");
        for wrong in [
            "7",
            &right.replace('-', ""),
            &format!("{{{right}}}"),
            &format!("urn:uuid:{right}"),
        ] {
            assert_eq!(parse(wrong).unwrap_err().name, "STRING_UUID", "{wrong}");
        }
    }
}
