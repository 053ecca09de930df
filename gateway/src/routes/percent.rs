//! Percent-encoding of paths and queries (RFC 3986 §2.1), by the rules of `google/api/http.proto`.

use std::borrow::Cow;

/// Decodes all of `text`; `None` when an escape is malformed or the outcome is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    decode_with(text, |_| true)
}

/// Decodes `text` but leaves an encoded slash encoded: a capture of several segments keeps its
/// structure.
pub(crate) fn decode_segments(text: &str) -> Option<Cow<'_, str>> {
    decode_with(text, |byte| byte != b'/')
}

/// Decodes a part of a query or form: like [`decode`], with `+` for a space.
pub(crate) fn decode_form(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode(text);
    }
    decode(&text.replace('+', " ")).map(|decoded| Cow::Owned(decoded.into_owned()))
}

fn decode_with(text: &str, is_decoded: impl Fn(u8) -> bool) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            decoded.push(bytes[at]);
            at += 1;
            continue;
        }
        let byte = digit(*bytes.get(at + 1)?)? << 4 | digit(*bytes.get(at + 2)?)?;
        if is_decoded(byte) {
            decoded.push(byte);
        } else {
            decoded.extend_from_slice(&bytes[at..at + 3]);
        }
        at += 3;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Appends `text` with every byte outside `[-_.~0-9A-Za-z]` encoded, as a variable of one segment
/// is expanded.
pub(crate) fn encode_into(text: &str, out: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_is_decoded_fully_and_several_keep_their_slashes() {
        assert_eq!(decode("a%2Fb%20c").unwrap(), "a/b c");
        assert_eq!(decode_segments("x%2fy%2Fz%20w/v").unwrap(), "x%2fy%2Fz w/v");
        assert_eq!(decode("+").unwrap(), "+");
        assert_eq!(decode_form("a+b%2B").unwrap(), "a b+");
    }

    #[test]
    fn malformed_escapes_and_invalid_utf8_are_refused() {
        for text in ["%", "%2", "%zz", "%ff", "%c3", "a%+1"] {
            assert!(decode(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let mut out = String::new();
        encode_into("ä/b c~%", &mut out);
        assert_eq!(out, "%C3%A4%2Fb%20c~%25");
        assert_eq!(decode(&out).unwrap(), "ä/b c~%");
    }
}
