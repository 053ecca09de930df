//! Passwords: what a new one must be, and what is merely presented as one.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use quartet_kernel::{DisplayName, Email, Rule, Username, text};
use unicode_normalization::UnicodeNormalization;

/// The 6,000 most used passwords of at least eight characters, sorted; from the ranking in zxcvbn
/// (MIT).
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// A shorter part of a name is too common to be searched for in a password.
const SHORTEST_NAME: usize = 3;

/// A text that is presented as a password: in Unicode's normal form C, so that every keyboard
/// spells it alike. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Characters at the least, of a new password.
    pub const MIN: usize = 8;
    /// Characters at the most.
    pub const MAX: usize = 128;

    /// A password to be compared with the one in force, which may be older than the rules for new
    /// ones.
    pub fn presented(text: &str) -> Result<Self, Rule> {
        Ok(Self(text::required(text, Self::MAX)?.nfc().collect()))
    }

    /// A password to be set: 8 to 128 characters of any kind, none of the common ones, not built
    /// around the owner's own names (NIST SP 800-63B §5.1.1.2, ASVS 6.2).
    pub fn chosen(text: &str, owner: &Owner<'_>) -> Result<Self, Rule> {
        let password = Self::presented(text)?;
        if password.0.chars().count() < Self::MIN {
            return Err(Rule::new("STRING_MIN_LEN", "must be at least 8 characters"));
        }
        let folded = password.0.to_lowercase();
        if is_common(&folded) {
            return Err(Rule::new("PASSWORD_COMMON", "is one of the most used passwords"));
        }
        if owner.is_most_of(&folded) || owner.is_all_of(&folded) {
            return Err(Rule::new(
                "PASSWORD_CONTAINS_NAME",
                "must not be mostly your user name or e-mail address, nor be your name",
            ));
        }
        Ok(password)
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Whose password it is to be: what it must not be built around. A name that is itself broken is
/// `None`, and is reported by its own rule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Owner<'a> {
    /// The name shown to others.
    pub name: Option<&'a DisplayName>,
    /// The account's user name.
    pub username: Option<&'a Username>,
    /// The account's address.
    pub email: Option<&'a Email>,
}

impl Owner<'_> {
    /// Whether the password, folded to lower case, is one of the owner's names and nothing else:
    /// the one shown to others, the whole address, or the user name, however short, over and over.
    fn is_all_of(&self, folded: &str) -> bool {
        let name = self
            .name
            .map(|name| name.as_str().nfc().collect::<String>().to_lowercase());
        let repeated = self
            .username
            .is_some_and(|name| folded.replace(&name.as_str().to_lowercase(), "").is_empty());
        repeated || name.as_deref() == Some(folded) || self.email.is_some_and(|email| email.key() == folded)
    }

    /// Whether the owner's names make up half of the password or more, blanks aside. They count as
    /// whole words alone: a name of three letters stands in many words that have nothing to do with
    /// it.
    fn is_most_of(&self, folded: &str) -> bool {
        let length = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let rest = self
            .names()
            .fold(folded.to_owned(), |rest, name| without_word(&rest, &name));
        length(&rest) * 2 <= length(folded)
    }

    /// The longest ones first, so that no part of an address is taken for all of it.
    fn names(&self) -> impl Iterator<Item = String> {
        let address = self.email.map(|email| email.key().to_owned());
        let username = self.username.map(|name| name.as_str().to_lowercase());
        let local = self.email.map(|email| email.local_part().to_lowercase());
        let names = [address, local, username].into_iter().flatten();
        let mut names: Vec<_> = names.filter(|name| name.chars().count() >= SHORTEST_NAME).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.into_iter()
    }
}

/// The text without the word wherever it stands on its own: no letter goes on where it ends in one,
/// and no digit where it ends in one.
fn without_word(text: &str, word: &str) -> String {
    let joins = |a: Option<char>, b: Option<char>| match (a, b) {
        (Some(a), Some(b)) => (a.is_alphabetic() && b.is_alphabetic()) || (a.is_numeric() && b.is_numeric()),
        _ => false,
    };
    let mut rest = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let is_inside = joins(text[..at].chars().next_back(), word.chars().next())
            || joins(word.chars().next_back(), text[end..].chars().next());
        if !is_inside {
            rest.push_str(&text[from..at]);
            // What stood before it and after it does not become one word.
            rest.push(' ');
            from = end;
        }
    }
    rest.push_str(&text[from..]);
    rest
}

/// Whether the password, folded to lower case, is a common one: as it stands, or one repeated
/// character.
fn is_common(folded: &str) -> bool {
    let mut chars = folded.chars();
    let first = chars.next();
    COMMON.contains(folded) || chars.all(|c| Some(c) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> &'static str {
        let username = Username::parse("annlee").unwrap();
        let email = Email::parse("a.lee@example.org").unwrap();
        let owner = Owner {
            name: None,
            username: Some(&username),
            email: Some(&email),
        };
        match Password::chosen(text, &owner) {
            Ok(_) => "",
            Err(rule) => rule.name,
        }
    }

    #[test]
    fn eight_to_128_characters_of_any_kind_are_a_password() {
        for right in [
            "correct horse battery staple",
            "zq8!vmx0",
            "пароль-длинный",
            "        x",
            &"ab".repeat(64),
        ] {
            assert_eq!(broken(right), "", "{right:?}");
        }
    }

    #[test]
    fn a_broken_rule_is_named() {
        for (text, rule) in [
            ("", "REQUIRED"),
            ("zq8!vmx", "STRING_MIN_LEN"),
            (&"ab".repeat(65), "STRING_MAX_LEN"),
            ("zq8!\0vmx0", "CONTROL_CHARACTERS"),
            ("password", "PASSWORD_COMMON"),
            ("PassWord", "PASSWORD_COMMON"),
            ("1qaz2wsx", "PASSWORD_COMMON"),
            ("zzzzzzzzzz", "PASSWORD_COMMON"),
            ("AnnLee99", "PASSWORD_CONTAINS_NAME"),
            ("77-annlee!", "PASSWORD_CONTAINS_NAME"),
            ("a.LEE pass", "PASSWORD_CONTAINS_NAME"),
            ("a.lee & annlee, 99", "PASSWORD_CONTAINS_NAME"),
            ("a.lee@example.org1", "PASSWORD_CONTAINS_NAME"),
        ] {
            assert_eq!(broken(text), rule, "{text:?}");
        }
    }

    #[test]
    fn a_name_counts_as_a_whole_word_that_makes_up_most_of_the_password_alone() {
        let username = Username::parse("admin").unwrap();
        let email = Email::parse("admin@example.org").unwrap();
        let owner = Owner {
            username: Some(&username),
            email: Some(&email),
            ..Owner::default()
        };
        for right in [
            "superlong admin phrase",
            "badminton1",
            "admins of the world",
            "an admin and more",
        ] {
            assert!(Password::chosen(right, &owner).is_ok(), "{right:?}");
        }
        for wrong in ["admin123", "Admin-2024", "admin admin 12", "the admin"] {
            assert!(Password::chosen(wrong, &owner).is_err(), "{wrong:?}");
        }
        assert_eq!(broken("my a.lee sentence"), "");
    }

    #[test]
    fn a_name_of_two_letters_is_not_looked_for() {
        let username = Username::parse("al").unwrap();
        let owner = Owner {
            username: Some(&username),
            ..Owner::default()
        };
        assert!(Password::chosen("also fine here", &owner).is_ok());
    }

    #[test]
    fn a_password_that_is_nothing_but_a_name_is_refused_however_short_the_name() {
        let name = DisplayName::parse("Léa Åström").unwrap();
        let username = Username::parse("ab").unwrap();
        let email = Email::parse("a@Example.org").unwrap();
        let owner = Owner {
            name: Some(&name),
            username: Some(&username),
            email: Some(&email),
        };
        for wrong in [
            "abababab",
            "AbaBABab",
            "a@example.ORG",
            "LÉA ÅSTRÖM",
            "le\u{301}a åström",
        ] {
            let rule = Password::chosen(wrong, &owner).unwrap_err();
            assert_eq!(rule.name, "PASSWORD_CONTAINS_NAME", "{wrong:?}");
        }
        for right in ["ababababa", "b@example.org", "léa åström 77"] {
            assert!(Password::chosen(right, &owner).is_ok(), "{right:?}");
        }
    }

    #[test]
    fn both_spellings_of_an_accented_letter_are_one_password() {
        let composed = Password::presented("caf\u{e9} au lait").unwrap();
        let decomposed = Password::presented("cafe\u{301} au lait").unwrap();
        assert_eq!(composed, decomposed);
    }

    #[test]
    fn the_list_of_common_passwords_is_there() {
        assert!(COMMON.len() >= 5_000);
        assert!(COMMON.iter().all(|text| text.chars().count() >= Password::MIN));
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", Password::presented("hunter2hunter2").unwrap()), "…");
    }
}
