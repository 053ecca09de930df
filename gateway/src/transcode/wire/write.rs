//! Writing a message from its bytes.

use super::cursor::{Cursor, Read, utf8};
use super::plan::{Field, Form, Kind, Message, Plan, Shape};
use super::scan::scan;
use super::slot::Slot;
use super::{Failure, MAX_DEPTH, check, text};
use crate::transcode::field_tree::FieldTree;
use crate::transcode::json::Unwritable;

/// Appends JSON to bytes.
pub(super) struct Writer<'p, 'o> {
    pub(super) plan: &'p Plan,
    pub(super) out: &'o mut Vec<u8>,
    /// The fields of the messages that are being written, the innermost message's last.
    pub(super) slots: Vec<Slot>,
    /// How many levels of JSON there are above the root: a message that is written counts as one.
    pub(super) above: u32,
}

pub(super) type Written = Result<(), Failure>;

/// The key of an entry. Entries are sorted, so that equal messages are equal bytes and an ETag
/// holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'b> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Text(&'b str),
}

impl<'p, 'o> Writer<'p, 'o> {
    pub(super) fn new(plan: &'p Plan, out: &'o mut Vec<u8>) -> Self {
        Self {
            plan,
            out,
            slots: Vec::with_capacity(64),
            above: u32::from(plan.body.is_none()),
        }
    }

    /// Writes what the plan says of a message.
    pub(super) fn root(&mut self, bytes: &[u8], mask: Option<&FieldTree>) -> Written {
        let Some(body) = self.plan.body else {
            return self.message(self.plan.root, bytes, 0, mask);
        };
        let message = &self.plan.messages[self.plan.root];
        let base = self.scan(message, bytes, 0)?;
        for (index, field) in message.fields.iter().enumerate() {
            let slot = self.slots[base + index];
            if index != body {
                check::slot(self.plan, field, bytes, slot, 0)?;
            } else if slot.count == 0 && field.has_presence {
                self.out.extend_from_slice(b"null");
            } else {
                self.value(field, bytes, slot, 0, None)?;
            }
        }
        Ok(())
    }

    /// Writes the message at `index` of the plan, which is nested `level` deep.
    pub(super) fn message(&mut self, index: usize, bytes: &[u8], level: u32, mask: Option<&FieldTree>) -> Written {
        if level + self.above > MAX_DEPTH {
            return Err(Unwritable("the message nests too deeply".to_owned()).into());
        }
        let message = &self.plan.messages[index];
        if let Form::Any(descriptor) = &message.form {
            return self.any(descriptor, index, bytes, level);
        }
        let base = self.scan(message, bytes, level)?;
        match message.form {
            Form::Object => {
                self.out.push(b'{');
                self.members(message, bytes, base, level, mask)?;
                self.out.push(b'}');
            }
            _ => self.known(message, bytes, base, level)?,
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// Finds the fields of a message; returns the index of its first slot.
    fn scan(&mut self, message: &Message, bytes: &[u8], level: u32) -> Read<usize> {
        let base = self.slots.len();
        self.slots.resize(base + message.fields.len(), Slot::EMPTY);
        scan(self.plan, message, bytes, level, &mut self.slots[base..])?;
        Ok(base)
    }

    /// Writes the members of an object.
    fn members(
        &mut self,
        message: &'p Message,
        bytes: &[u8],
        base: usize,
        level: u32,
        mask: Option<&FieldTree>,
    ) -> Written {
        let mut is_first = true;
        for (index, field) in message.fields.iter().enumerate() {
            let slot = self.slots[base + index];
            let inner = match mask.map(|mask| mask.get(field.number)) {
                None => Some(None),
                Some(selected) => selected,
            };
            let Some(inner) = inner.filter(|_| !field.is_omitted) else {
                check::slot(self.plan, field, bytes, slot, level)?;
                continue;
            };
            if slot.count == 0 && field.has_presence {
                continue;
            }
            let comma = usize::from(is_first);
            self.out.extend_from_slice(&field.member[comma..]);
            is_first = false;
            self.value(field, bytes, slot, level, inner)?;
        }
        Ok(())
    }

    /// Writes the value of a field of a message that is nested `level` deep.
    pub(super) fn value(
        &mut self,
        field: &'p Field,
        bytes: &[u8],
        slot: Slot,
        level: u32,
        mask: Option<&FieldTree>,
    ) -> Written {
        if slot.count == 0 {
            self.out.extend_from_slice(&field.default);
            return Ok(());
        }
        let mut cursor = Cursor::between(bytes, slot.from, slot.to);
        match (field.shape, &field.kind) {
            (Shape::Single, Kind::Message(index)) if slot.count == 1 => {
                cursor.key()?;
                self.message(*index, cursor.delimited()?, level + 1, mask)
            }
            (Shape::Single, Kind::Message(index)) => {
                // The parts of a message are one message when they stand one after another.
                let mut merged = Vec::with_capacity(slot.to - slot.from);
                while cursor.next_of(field.number)?.is_some() {
                    let part = cursor.delimited()?;
                    check::message(self.plan, *index, part, level + 1)?;
                    merged.extend_from_slice(part);
                }
                self.message(*index, &merged, level + 1, mask)
            }
            (Shape::Single, kind) => self.scalar(kind, &mut cursor),
            (Shape::Map, Kind::Message(index)) => self.map(*index, field.number, cursor, level),
            (_, Kind::Message(index)) => {
                self.out.push(b'[');
                let mut is_first = true;
                while cursor.next_of(field.number)?.is_some() {
                    self.comma(&mut is_first);
                    self.message(*index, cursor.delimited()?, level + 1, mask)?;
                }
                self.out.push(b']');
                Ok(())
            }
            (_, kind) => {
                self.out.push(b'[');
                let mut is_first = true;
                while let Some(wire) = cursor.next_of(field.number)? {
                    if field.is_packed(wire) {
                        let mut values = Cursor::new(cursor.delimited()?);
                        while !values.is_at_end() {
                            self.comma(&mut is_first);
                            self.scalar(kind, &mut values)?;
                        }
                    } else {
                        self.comma(&mut is_first);
                        self.scalar(kind, &mut cursor)?;
                    }
                }
                self.out.push(b']');
                Ok(())
            }
        }
    }

    fn comma(&mut self, is_first: &mut bool) {
        if !std::mem::take(is_first) {
            self.out.push(b',');
        }
    }

    /// Writes a map, whose entries are the messages at `index` of the plan.
    fn map(&mut self, index: usize, number: u32, mut cursor: Cursor<'_>, level: u32) -> Written {
        let entry = &self.plan.messages[index];
        let [key_field, value_field] = &*entry.fields else {
            return Err(Unwritable("a map without entries".to_owned()).into());
        };
        let mut entries = Vec::new();
        while cursor.next_of(number)?.is_some() {
            let bytes = cursor.delimited()?;
            let base = self.scan(entry, bytes, level)?;
            let (key, value) = (self.slots[base], self.slots[base + 1]);
            self.slots.truncate(base);
            entries.push((key_of(key_field, bytes, key)?, bytes, value));
        }
        // Those with the same key stay in their order: the last one counts.
        entries.sort_by_key(|(key, ..)| *key);
        self.out.push(b'{');
        let mut is_first = true;
        for (position, (key, bytes, value)) in entries.iter().enumerate() {
            if entries.get(position + 1).is_some_and(|(next, ..)| next == key) {
                check::slot(self.plan, value_field, bytes, *value, level)?;
                continue;
            }
            self.comma(&mut is_first);
            self.key(*key)?;
            self.out.push(b':');
            match &value_field.kind {
                Kind::Message(inner) if value.count == 0 => self.message(*inner, b"", level + 1, None)?,
                _ => self.value(value_field, bytes, *value, level, None)?,
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn key(&mut self, key: Key<'_>) -> Written {
        match key {
            Key::Bool(true) => self.out.extend_from_slice(b"\"true\""),
            Key::Bool(false) => self.out.extend_from_slice(b"\"false\""),
            Key::Signed(key) => text::quoted(key, self.out),
            Key::Unsigned(key) => text::quoted(key, self.out),
            Key::Text(key) => text::string(key.as_bytes(), self.out)?,
        }
        Ok(())
    }

    /// Writes one value that is no message.
    fn scalar(&mut self, kind: &Kind, cursor: &mut Cursor<'_>) -> Written {
        let out = &mut *self.out;
        match kind {
            Kind::Bool if cursor.varint()? != 0 => out.extend_from_slice(b"true"),
            Kind::Bool => out.extend_from_slice(b"false"),
            // Decoders take the low bits of what is too large.
            Kind::Int32 => text::integer(cursor.varint()? as i32, out),
            Kind::Uint32 => text::integer(cursor.varint()? as u32, out),
            Kind::Sint32 => text::integer(zigzag32(cursor.varint()?), out),
            Kind::Fixed32 => text::integer(cursor.fixed32()?, out),
            Kind::Sfixed32 => text::integer(cursor.fixed32()? as i32, out),
            Kind::Int64 => text::quoted(cursor.varint()? as i64, out),
            Kind::Uint64 => text::quoted(cursor.varint()?, out),
            Kind::Sint64 => text::quoted(zigzag64(cursor.varint()?), out),
            Kind::Fixed64 => text::quoted(cursor.fixed64()?, out),
            Kind::Sfixed64 => text::quoted(cursor.fixed64()? as i64, out),
            Kind::Float => text::float(f32::from_bits(cursor.fixed32()?), out)?,
            Kind::Double => text::double(f64::from_bits(cursor.fixed64()?), out)?,
            Kind::String => text::string(cursor.delimited()?, out)?,
            Kind::Bytes => text::base64(cursor.delimited()?, out)?,
            Kind::Null => {
                cursor.varint()?;
                out.extend_from_slice(b"null");
            }
            Kind::Enum(names) => {
                let number = cursor.varint()? as i32;
                match names.get(number) {
                    Some(name) => out.extend_from_slice(name),
                    None => text::integer(number, out),
                }
            }
            Kind::Message(_) => return Err(Unwritable("a message among scalars".to_owned()).into()),
        }
        Ok(())
    }
}

fn key_of<'b>(field: &Field, bytes: &'b [u8], slot: Slot) -> Result<Key<'b>, Failure> {
    // An absent key is the default one: the number zero, or an empty string.
    let bytes = if slot.count == 0 { &[0; 8] } else { bytes };
    let mut cursor = Cursor::between(bytes, slot.from, bytes.len());
    Ok(match field.kind {
        Kind::Bool => Key::Bool(cursor.varint()? != 0),
        Kind::Int32 => Key::Signed(i64::from(cursor.varint()? as i32)),
        Kind::Int64 => Key::Signed(cursor.varint()? as i64),
        Kind::Uint32 => Key::Unsigned(u64::from(cursor.varint()? as u32)),
        Kind::Uint64 => Key::Unsigned(cursor.varint()?),
        Kind::Sint32 => Key::Signed(i64::from(zigzag32(cursor.varint()?))),
        Kind::Sint64 => Key::Signed(zigzag64(cursor.varint()?)),
        Kind::Fixed32 => Key::Unsigned(u64::from(cursor.fixed32()?)),
        Kind::Fixed64 => Key::Unsigned(cursor.fixed64()?),
        Kind::Sfixed32 => Key::Signed(i64::from(cursor.fixed32()? as i32)),
        Kind::Sfixed64 => Key::Signed(cursor.fixed64()? as i64),
        Kind::String => Key::Text(utf8(cursor.delimited()?)?),
        _ => return Err(Unwritable("a map by what is no key".to_owned()).into()),
    })
}

pub(crate) fn zigzag32(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub(crate) fn zigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
