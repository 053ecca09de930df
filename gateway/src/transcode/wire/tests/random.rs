//! Random bytes that are messages of a type, or nearly so: fields in any order, more than once,
//! unknown ones among them, and now and then something that no encoder writes.

use prost::encoding::{WireType, encode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// The key of a field, whose number may be one that no encoder writes.
fn encode_key(number: u32, wire: WireType, out: &mut Vec<u8>) {
    encode_varint(u64::from(number) << 3 | wire as u64, out);
}

/// Random numbers from a seed (SplitMix64).
pub(crate) struct Random {
    state: u64,
    /// One value out of so many is broken; none, when zero.
    broken: u64,
}

pub(crate) const TEXTS: [&str; 10] = [
    "",
    "a",
    "a sentence of plain text that is longer than a register",
    "\"quoted\" and \\escaped\\",
    "line\nbreak\ttab\r\u{8}\u{c}\u{0}\u{1f}",
    "\u{7f}<&>'/",
    "Привет, мир",
    "日本語 \"\u{2028}\" 😀",
    "snake_case.line_2",
    "etag-1",
];
const NUMBERS: [u64; 12] = [
    0,
    1,
    2,
    127,
    128,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0002,
    1_000_000,
    i64::MAX as u64,
    u64::MAX,
];
const FLOATS: [f64; 8] = [0.0, -0.0, 1.5, 0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308];

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let broken = match seed % 4 {
            0 => 40,
            1 => 8,
            _ => 0,
        };
        Self { state: seed, broken }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn breaks(&mut self) -> bool {
        self.broken > 0 && self.next().is_multiple_of(self.broken)
    }

    fn number(&mut self) -> u64 {
        match self.below(3) {
            0 => NUMBERS[self.below(NUMBERS.len())],
            1 => self.next() % 1_000,
            _ => self.next(),
        }
    }

    fn text(&mut self) -> Vec<u8> {
        if self.breaks() {
            return vec![b'a', 0xff, b'"'];
        }
        TEXTS[self.below(TEXTS.len())].as_bytes().to_vec()
    }

    /// The bytes of a message, in which at most `depth` others nest.
    pub(super) fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> Vec<u8> {
        let mut out = Vec::new();
        match descriptor.full_name() {
            "google.protobuf.Timestamp" | "google.protobuf.Duration" if !self.one_in(20) => {
                let nanos = [0, 0, 5_000_000, 7_000, 123_456_789][self.below(5)];
                encode_key(1, WireType::Varint, &mut out);
                encode_varint(self.next() % 253_402_300_800, &mut out);
                encode_key(2, WireType::Varint, &mut out);
                encode_varint(nanos, &mut out);
                return out;
            }
            "google.protobuf.Any" if !self.one_in(10) => {
                let name =
                    ["google.protobuf.StringValue", "google.protobuf.Value", "no.Such"][self.below(6).min(2) % 3];
                self.delimited(1, format!("t/{name}").as_bytes(), &mut out);
                if let Some(inner) = descriptor.parent_pool().get_message_by_name(name) {
                    let inner = self.message(&inner, 0);
                    self.delimited(2, &inner, &mut out);
                }
                return out;
            }
            _ => {}
        }
        let fields: Vec<_> = descriptor.fields().collect();
        let count = if fields.len() > 6 {
            self.below(10)
        } else {
            self.below(4)
        };
        for _ in 0..count {
            match fields.get(self.below(fields.len() + fields.len() / 8 + 1)) {
                Some(field) => self.field(field, depth, &mut out),
                None => {
                    let number = 600 + self.below(5) as u32;
                    self.unknown(number, 2, &mut out);
                }
            }
        }
        if self.breaks() {
            out.truncate(self.below(out.len()));
        }
        out
    }

    fn delimited(&mut self, number: u32, bytes: &[u8], out: &mut Vec<u8>) {
        encode_key(number, WireType::LengthDelimited, out);
        let longer = u64::from(self.breaks());
        encode_varint(bytes.len() as u64 + longer, out);
        out.extend_from_slice(bytes);
    }

    fn unknown(&mut self, number: u32, depth: usize, out: &mut Vec<u8>) {
        match self.below(5) {
            0 => {
                encode_key(number, WireType::Varint, out);
                encode_varint(self.number(), out);
            }
            1 => {
                encode_key(number, WireType::SixtyFourBit, out);
                out.extend_from_slice(&self.next().to_le_bytes());
            }
            2 => {
                encode_key(number, WireType::ThirtyTwoBit, out);
                out.extend_from_slice(&(self.next() as u32).to_le_bytes());
            }
            3 => self.delimited(number, b"\xff\xfe", out),
            _ => {
                encode_key(number, WireType::StartGroup, out);
                if depth > 0 {
                    // Inside a group, even the numbers of known fields are unknown.
                    let inner = 1 + self.below(20) as u32;
                    self.unknown(inner, depth - 1, out);
                }
                let end = number + u32::from(self.breaks());
                encode_key(end, WireType::EndGroup, out);
            }
        }
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize, out: &mut Vec<u8>) {
        if self.breaks() {
            // The wire type of something else.
            self.unknown(field.number(), 1, out);
            return;
        }
        let is_packable = field.is_list() && !matches!(field.kind(), Kind::String | Kind::Bytes | Kind::Message(_));
        if is_packable && self.one_in(2) {
            let mut packed = Vec::new();
            for _ in 0..self.below(4) {
                self.value(field, 0, &mut packed);
            }
            self.delimited(field.number(), &packed, out);
            return;
        }
        let times = if field.is_list() || field.is_map() {
            self.below(4)
        } else {
            1
        };
        for _ in 0..times {
            encode_key(field.number(), field.kind().wire_type(), out);
            self.value(field, depth, out);
        }
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize, out: &mut Vec<u8>) {
        let bytes = match field.kind() {
            Kind::Float => {
                let value = FLOATS[self.below(FLOATS.len())] as f32;
                out.extend_from_slice(&value.to_le_bytes());
                return;
            }
            Kind::Double => {
                let finite = f64::from_bits(self.next());
                let value = if self.one_in(2) {
                    FLOATS[self.below(FLOATS.len())]
                } else {
                    finite
                };
                out.extend_from_slice(&value.to_le_bytes());
                return;
            }
            Kind::Fixed32 | Kind::Sfixed32 => {
                out.extend_from_slice(&(self.number() as u32).to_le_bytes());
                return;
            }
            Kind::Fixed64 | Kind::Sfixed64 => {
                out.extend_from_slice(&self.number().to_le_bytes());
                return;
            }
            Kind::String => self.text(),
            Kind::Bytes => (0..self.below(8)).map(|_| self.next() as u8).collect(),
            Kind::Message(_) if depth == 0 => Vec::new(),
            // The key and the value of an entry come in any order and number, as fields do.
            Kind::Message(inner) => self.message(&inner, depth - 1),
            _ if self.breaks() => {
                out.extend_from_slice(&[0xff; 10]);
                return;
            }
            Kind::Enum(_) => {
                let number = [0, 1, 2, -5_i64 as u64, 1_000_000, 7][self.below(6)];
                encode_varint(number, out);
                return;
            }
            _ => {
                encode_varint(self.number(), out);
                return;
            }
        };
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(&bytes);
    }
}
