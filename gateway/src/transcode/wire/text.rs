//! Scalars as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Failure;
use super::cursor::utf8;
use crate::transcode::json::Unwritable;

/// Appends a string.
pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
    let found = Found::among(bytes);
    if found.not_ascii {
        utf8(bytes)?;
    }
    if found.needs_escape {
        return serialized(&utf8(bytes)?, out);
    }
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
    Ok(())
}

/// What is among the bytes of a string.
struct Found {
    needs_escape: bool,
    not_ascii: bool,
}

impl Found {
    /// Examines eight bytes at a time: most strings are shorter than what vector instructions pay for.
    fn among(bytes: &[u8]) -> Self {
        let (mut escapes, mut not_ascii) = (0, 0);
        let mut examine = |word: [u8; 8]| {
            let word = u64::from_le_bytes(word);
            escapes |= escapes_in(word);
            not_ascii |= word & HIGH_BITS;
        };
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| examine(*word));
        match bytes.last_chunk() {
            // Some bytes are examined twice.
            Some(last) if !rest.is_empty() => examine(*last),
            Some(_) => {}
            None => {
                let mut word = [b' '; 8];
                word[..rest.len()].copy_from_slice(rest);
                examine(word);
            }
        }
        Self {
            needs_escape: escapes != 0,
            not_ascii: not_ascii != 0,
        }
    }
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Not zero if one of the eight bytes is a control character, a quotation mark or a backslash: as in
/// "Determine if a word has a byte less than n" of <https://graphics.stanford.edu/~seander/bithacks.html>.
fn escapes_in(word: u64) -> u64 {
    let below = |word: u64, bound: u8| word.wrapping_sub(LOW_BITS * u64::from(bound)) & !word & HIGH_BITS;
    let equal = |byte: u8| below(word ^ (LOW_BITS * u64::from(byte)), 1);
    below(word, 0x20) | equal(b'"') | equal(b'\\')
}

/// Appends a number.
#[inline]
pub(super) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a number of 64 bits, which are strings: a JavaScript number would lose their last digits.
#[inline]
pub(super) fn quoted(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.push(b'"');
    integer(value, out);
    out.push(b'"');
}

pub(super) fn float(value: f32, out: &mut Vec<u8>) -> Result<(), Failure> {
    if value.is_finite() {
        return serialized(&value, out);
    }
    not_finite(f64::from(value), out);
    Ok(())
}

pub(super) fn double(value: f64, out: &mut Vec<u8>) -> Result<(), Failure> {
    if value.is_finite() {
        return serialized(&value, out);
    }
    not_finite(value, out);
    Ok(())
}

fn not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    });
}

/// Appends bytes in base64.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(bytes, &mut out[start..])
        .map_err(|error| Unwritable(error.to_string()))?;
    out.push(b'"');
    Ok(())
}

/// The shortest digits that read back as the same number, and strings with their escapes.
fn serialized(value: &impl serde::Serialize, out: &mut Vec<u8>) -> Result<(), Failure> {
    serde_json::to_writer(out, value).map_err(|error| Unwritable(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_an_escape_is_found_at_every_place_of_every_length() {
        for length in 0..=40_usize {
            assert!(!Found::among(&vec![b'a'; length]).needs_escape, "{length}");
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'~'; length];
                    bytes[place] = byte;
                    let found = Found::among(&bytes);
                    let expected = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(found.needs_escape, expected, "{byte:#x} at {place} of {length}");
                    assert_eq!(found.not_ascii, byte >= 0x80, "{byte:#x} at {place} of {length}");
                }
            }
        }
    }
}
