//! The rule of e-mail addresses, which the auth service keeps and the users service shows.

use super::Rule;

/// Bytes of an address at the most (RFC 5321 §4.5.3.1.3, less the angle brackets).
const MAX: usize = 254;
/// Bytes before the `@` at the most (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Bytes of one label of the domain at the most (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// An e-mail address as people have them: the mailbox of RFC 5321 §4.1.2 with a dot-string before the `@` and a domain name of at least two
/// labels after it. Quoted local parts and address literals are refused, since hardly a mail system takes them. An internationalised
/// domain is written in its ASCII form (`xn--…`). The address is kept as given; [`key`] is what compares.
pub fn parse(raw: &str) -> Result<String, Rule> {
    if raw.is_empty() {
        return Err(Rule::required());
    }
    if raw.chars().count() > MAX {
        return Err(Rule::new("STRING_MAX_LEN", format!("must be at most {MAX} characters")));
    }
    if raw.chars().any(char::is_control) {
        return Err(Rule::new("CONTROL_CHARACTERS", "must not contain control characters"));
    }
    match raw.rsplit_once('@') {
        Some((local, domain)) if is_local(local) && is_domain(domain) => Ok(raw.to_owned()),
        _ => Err(Rule::new("STRING_EMAIL", "must be an e-mail address")),
    }
}

/// What two addresses have in common when they are one: the address in lower case. The standard lets a mail system tell `A@…` from `a@…`; none
/// that matters does, and people type both.
pub fn key(address: &str) -> String {
    address.to_ascii_lowercase()
}

/// A dot-string (RFC 5321 §4.1.2): atoms with single dots between them.
fn is_local(local: &str) -> bool {
    local.len() <= MAX_LOCAL
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// A byte of an atom (RFC 5322 §3.2.3).
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// A domain name of letters, digits and inner hyphens; the last label has a letter, so that no IPv4 address passes for one.
fn is_domain(domain: &str) -> bool {
    let Some((_, top)) = domain.rsplit_once('.') else {
        return false;
    };
    top.bytes().any(|byte| byte.is_ascii_alphabetic()) && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_have_them_are_taken_as_given() {
        for right in [
            "a@b.co",
            "Ada.Lovelace+todos@Example.org",
            "o'neil_99@mail.example.co.uk",
            "post@xn--bcher-kva.example",
            &format!("{}@example.org", "x".repeat(64)),
            &format!("x@{}.example.org", "y".repeat(63)),
        ] {
            assert_eq!(parse(right).as_deref(), Ok(right));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "plain",
            "@example.org",
            "a@",
            "a@localhost",
            "a@example..org",
            "a@.example.org",
            "a@example.org.",
            "a@-example.org",
            "a@example-.org",
            "a@127.0.0.1",
            "a@[127.0.0.1]",
            "a@exa_mple.org",
            "a@b@example.org",
            ".a@example.org",
            "a.@example.org",
            "a..b@example.org",
            "\"a b\"@example.org",
            "a b@example.org",
            " a@example.org",
            "a@example.org ",
            "ä@example.org",
            "a@bücher.example",
            "Ada <a@example.org>",
            &format!("{}@example.org", "x".repeat(65)),
            &format!("x@{}.example.org", "y".repeat(64)),
        ] {
            assert_eq!(parse(wrong).unwrap_err().name, "STRING_EMAIL", "{wrong:?}");
        }
    }

    #[test]
    fn length_and_control_characters_have_rules_of_their_own() {
        let label = "y".repeat(60);
        let long = format!("x@{label}.{label}.{label}.{label}.example");
        assert!(parse(&long).is_ok());
        assert_eq!(parse(&format!("xxx{long}")).unwrap_err().name, "STRING_MAX_LEN");
        assert_eq!(parse("a\0@example.org").unwrap_err().name, "CONTROL_CHARACTERS");
        assert_eq!(parse("a@example.org\r\n").unwrap_err().name, "CONTROL_CHARACTERS");
        assert_eq!(parse("").unwrap_err().name, "REQUIRED");
    }

    #[test]
    fn the_key_does_not_tell_cases_apart() {
        assert_eq!(key("Ada@Example.ORG"), key("ada@example.org"));
    }
}
