//! Reading the protobuf wire format (<https://protobuf.dev/programming-guides/encoding/>) as `prost`
//! reads it: the same bytes are refused.

use prost::encoding::WireType;

use super::MAX_DEPTH;

/// What is wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it ends too early")]
    Truncated,
    #[error("a number is too long")]
    Varint,
    #[error("a key is no key")]
    Key,
    #[error("a field has the wire type of another")]
    WireType,
    /// A decoder would read it as an entry all the same, which is neither what the format says nor
    /// what any encoder writes.
    #[error("a map has the wire type of another field")]
    MapWireType,
    #[error("a string is not UTF-8")]
    Utf8,
    #[error("a group ends where none is open")]
    Group,
    #[error("it nests too deeply")]
    Depth,
}

pub(super) type Read<T> = Result<T, Malformed>;

/// A place in the bytes of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    pub(super) at: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A cursor at `from` that ends at `to`.
    pub(super) fn between(bytes: &'b [u8], from: usize, to: usize) -> Self {
        Self {
            bytes: &bytes[..to],
            at: from,
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Read<u64> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Read<u64> {
        let rest = &self.bytes[self.at..];
        let word = match rest.first_chunk() {
            Some(word) => *word,
            None => {
                // No number ends in what is not there.
                let mut word = [0x80; 8];
                word[..rest.len()].copy_from_slice(rest);
                word
            }
        };
        let word = u64::from_le_bytes(word);
        // The first byte without its high bit is the last one of the number.
        let last = !word & 0x8080_8080_8080_8080;
        if last != 0 {
            self.at += (last.trailing_zeros() as usize).div_ceil(8);
            return Ok(seven_bits_each(word & (last ^ (last - 1))));
        }
        let mut value = 0;
        for (index, byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (index * 7);
            if *byte < 0x80 {
                // The tenth byte has room for one bit.
                if index == 9 && *byte > 1 {
                    return Err(Malformed::Varint);
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(Malformed::Varint)
    }

    /// The number and the wire type of the field that begins here.
    #[inline]
    pub(super) fn key(&mut self) -> Read<(u32, WireType)> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed::Key)?;
        let wire = WireType::try_from(u64::from(key & 7)).map_err(|_| Malformed::Key)?;
        match key >> 3 {
            0 => Err(Malformed::Key),
            number => Ok((number, wire)),
        }
    }

    pub(super) fn fixed32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn fixed64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let array = self.bytes[self.at..].first_chunk().ok_or(Malformed::Truncated)?;
        self.at += N;
        Ok(*array)
    }

    /// The bytes of a value that has its length before it.
    #[inline]
    pub(super) fn delimited(&mut self) -> Read<&'b [u8]> {
        let length = self.varint()?;
        let rest = &self.bytes[self.at..];
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        let value = rest.get(..length).ok_or(Malformed::Truncated)?;
        self.at += length;
        Ok(value)
    }

    /// Passes a value that is no group.
    #[inline]
    pub(super) fn pass(&mut self, wire: WireType) -> Read<()> {
        match wire {
            WireType::Varint => self.varint().map(|_| ()),
            WireType::SixtyFourBit => self.array::<8>().map(|_| ()),
            WireType::ThirtyTwoBit => self.array::<4>().map(|_| ()),
            WireType::LengthDelimited => self.delimited().map(|_| ()),
            WireType::StartGroup | WireType::EndGroup => Err(Malformed::Group),
        }
    }

    /// Passes the value of an unknown field of a message that is nested `level` deep.
    pub(super) fn pass_unknown(&mut self, number: u32, wire: WireType, level: u32) -> Read<()> {
        if wire != WireType::StartGroup {
            return self.pass(wire);
        }
        if level >= MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        loop {
            match self.key()? {
                (end, WireType::EndGroup) if end == number => return Ok(()),
                (_, WireType::EndGroup) => return Err(Malformed::Group),
                (inner, wire) => self.pass_unknown(inner, wire, level + 1)?,
            }
        }
    }

    /// The same in the entry of a map, where decoders count the depth of what is no group as well.
    pub(super) fn pass_unknown_of_entry(&mut self, number: u32, wire: WireType, level: u32) -> Read<()> {
        if level >= MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        if wire != WireType::StartGroup {
            return self.pass(wire);
        }
        loop {
            match self.key()? {
                (end, WireType::EndGroup) if end == number => return Ok(()),
                (_, WireType::EndGroup) => return Err(Malformed::Group),
                (inner, wire) => self.pass_unknown_of_entry(inner, wire, level + 1)?,
            }
        }
    }

    /// Goes on to the next value of field `number` in a message that is checked already.
    #[inline]
    pub(super) fn next_of(&mut self, number: u32) -> Read<Option<WireType>> {
        while !self.is_at_end() {
            match self.key()? {
                (found, wire) if found == number => return Ok(Some(wire)),
                (other, wire) => self.pass_unknown(other, wire, 0)?,
            }
        }
        Ok(None)
    }
}

/// The number of the low seven bits of each byte: the spaces between them are taken out, first
/// between single bytes, then between pairs, then between fours.
fn seven_bits_each(bytes: u64) -> u64 {
    let halves = |word: u64, low: u64, high: u64, space: u32| (word & low) | ((word & high) >> space);
    let pairs = halves(bytes, 0x007f_007f_007f_007f, 0x7f00_7f00_7f00_7f00, 1);
    let fours = halves(pairs, 0x0000_3fff_0000_3fff, 0x3fff_0000_3fff_0000, 2);
    halves(fours, 0x0000_0000_0fff_ffff, 0x0fff_ffff_0000_0000, 4)
}

/// A string of a message.
pub(super) fn utf8(bytes: &[u8]) -> Read<&str> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8)
}

#[cfg(test)]
mod tests {
    use prost::encoding::encode_varint;

    use super::*;

    #[test]
    fn numbers_of_every_length_are_read_as_they_were_written_whatever_follows() {
        let bits = (0..=63).map(|bit| 1_u64 << bit);
        for number in bits.flat_map(|bit| [bit - 1, bit, bit | 0x55, u64::MAX - bit, u64::MAX]) {
            for following in 0..10 {
                let mut bytes = Vec::new();
                encode_varint(number, &mut bytes);
                let length = bytes.len();
                bytes.resize(length + following, 0xff);
                let mut cursor = Cursor::new(&bytes);
                assert_eq!(cursor.varint(), Ok(number));
                assert_eq!(cursor.at, length, "{number}");
            }
        }
        // As prost does: a number may be written longer than it has to be.
        assert_eq!(Cursor::new(&[0x80, 0x00, 1, 1, 1, 1, 1, 1]).varint(), Ok(0));
        assert_eq!(Cursor::new(&[0xff; 11]).varint(), Err(Malformed::Varint));
        assert_eq!(Cursor::new(&[0x80; 3]).varint(), Err(Malformed::Varint));
    }
}
