//! Writing the wire format (<https://protobuf.dev/programming-guides/encoding/>).

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Appends a field of text.
pub(crate) fn string(number: u32, text: &str, out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    bytes(text.as_bytes(), out);
}

/// Appends bytes with their length before them.
pub(crate) fn bytes(value: &[u8], out: &mut Vec<u8>) {
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends what `write` appends, with its length before it.
pub(crate) fn delimited<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let start = open(out);
    let written = write(out);
    close(out, start);
    written
}

/// Leaves room for a length; the place goes to [`close`].
pub(super) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len() - 1
}

/// Writes the length of all that came after `start`. Most lengths need one byte; for one that needs
/// more, what came after it is moved.
pub(super) fn close(out: &mut Vec<u8>, start: usize) {
    let from = start + 1;
    let length = out.len() - from;
    if length < 0x80 {
        out[start] = length as u8;
        return;
    }
    let more = encoded_len_varint(length as u64) - 1;
    out.resize(from + length + more, 0);
    out.copy_within(from..from + length, from + more);
    encode_varint(length as u64, &mut &mut out[start..from + more]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_any_size_stands_before_what_it_measures() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let value = vec![7; length];
            let mut expected = vec![1];
            bytes(&value, &mut expected);
            let mut out = vec![1];
            delimited(&mut out, |out| out.extend_from_slice(&value));
            assert!(out == expected, "{length}");
        }
    }
}
