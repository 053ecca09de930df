//! The rule of links to the web.

use ::url::Url;

use crate::{Rule, text};

/// An absolute `http` or `https` URL of at most `max` characters, with a host and without a
/// password in it, spelled with the characters of RFC 3986 §2 alone. It is kept as given: the
/// parser of browsers would mend backslashes, blanks and tabs, and what it mends is refused here.
pub fn http(raw: &str, max: usize) -> Result<String, Rule> {
    let url = text::length(raw, 1, max)?;
    let wrong = || Rule::new("STRING_URI", "must be an http or https URL");
    if !url.bytes().all(is_uri_byte) {
        return Err(wrong());
    }
    let parsed = Url::parse(&url).map_err(|_| wrong())?;
    // `http:host` is also mended; the two slashes must be there.
    let has_slashes = url
        .get(parsed.scheme().len()..)
        .is_some_and(|rest| rest.starts_with("://") && !rest.starts_with(":///"));
    let has_password = !parsed.username().is_empty() || parsed.password().is_some();
    if matches!(parsed.scheme(), "http" | "https") && has_slashes && parsed.has_host() && !has_password {
        return Ok(url);
    }
    Err(wrong())
}

/// Unreserved and reserved characters, and the percent sign.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_addresses_are_taken_as_given() {
        for right in [
            "https://example.org",
            "HTTP://Example.org:8080/a.png?size=2#top",
            "https://[2001:db8::1]/a",
            "https://example.org/%D1%8F",
        ] {
            assert_eq!(http(right, 250).as_deref(), Ok(right));
        }
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        for wrong in [
            "example.org",
            "ftp://example.org/a",
            "javascript:alert(1)",
            "data:image/png;base64,AAAA",
            "http://",
            "http:///a",
            "http:example.org",
            "http:/example.org",
            "http:\\\\example.org",
            "https://example.org:99999/",
            "https://ada:secret@example.org/",
            "https://ada@example.org/",
            "https://exa mple.org/",
            " https://example.org/",
            "https://example.org/\t",
            "https://example.org/\0",
            "https://example.org/\"><script>",
            "https://[::1/",
            "https://bücher.example/",
        ] {
            assert_eq!(http(wrong, 250).unwrap_err().name, "STRING_URI", "{wrong:?}");
        }
    }

    #[test]
    fn a_long_one_and_an_empty_one_have_rules_of_their_own() {
        assert_eq!(http("https://example.org/", 19).unwrap_err().name, "STRING_MAX_LEN");
        assert_eq!(http("", 19).unwrap_err().name, "REQUIRED");
    }
}
