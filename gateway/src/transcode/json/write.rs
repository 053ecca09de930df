//! Writing messages as ProtoJSON: names as the protos spell them, fields without presence always
//! there, unset ones with presence not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};

use crate::transcode::field_tree::FieldTree;
use crate::transcode::known::known;
use crate::transcode::text::printed;

/// The depth to which protobuf itself reads messages.
const MAX_DEPTH: usize = 100;

/// Why a message has no JSON form, such as a timestamp out of range.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unwritable(pub(in crate::transcode) String);

/// Appends JSON to bytes.
pub(crate) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// Fields to leave out, such as those that become cookies.
    omitted: &'a [FieldDescriptor],
    /// The fields to write of the message that is written; all of them when `None`.
    mask: Option<&'a FieldTree>,
    depth: usize,
}

pub(super) type Written = Result<(), Unwritable>;

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, omitted: &'a [FieldDescriptor]) -> Self {
        Self {
            out,
            omitted,
            mask: None,
            depth: 0,
        }
    }

    /// The same, which writes only the fields of `mask`.
    pub(crate) fn masked(self, mask: Option<&'a FieldTree>) -> Self {
        Self { mask, ..self }
    }

    /// The same, below so many messages that count as nesting.
    pub(in crate::transcode) fn below(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// Writes a message.
    ///
    /// # Errors
    /// Names what has no JSON form.
    pub(crate) fn message(&mut self, message: &DynamicMessage) -> Written {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unwritable("the message nests too deeply".to_owned()));
        }
        match known(&message.descriptor()) {
            Some(form) => self.known(form, message)?,
            None => {
                self.out.push(b'{');
                self.fields(message, true)?;
                self.out.push(b'}');
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Writes the members of an object; `first` is set while there is none yet.
    pub(super) fn fields(&mut self, message: &DynamicMessage, mut first: bool) -> Written {
        let descriptor = message.descriptor();
        let mask = self.mask;
        for field in descriptor.fields() {
            let inner = match mask.map(|mask| mask.get(field.number())) {
                None => None,
                Some(Some(inner)) => inner,
                Some(None) => continue,
            };
            if (field.supports_presence() && !message.has_field(&field)) || self.omitted.contains(&field) {
                continue;
            }
            if !first {
                self.out.push(b',');
            }
            first = false;
            // The names of fields are identifiers: nothing in them needs escaping.
            self.out.push(b'"');
            self.out.extend_from_slice(field.name().as_bytes());
            self.out.extend_from_slice(b"\":");
            self.mask = inner;
            self.field(&field, &message.get_field(&field))?;
        }
        self.mask = mask;
        Ok(())
    }

    /// Writes the value of a field: a list, a map or a single value.
    ///
    /// # Errors
    /// See [`Writer::message`].
    pub(crate) fn field(&mut self, field: &FieldDescriptor, value: &Value) -> Written {
        let kind = field.kind();
        match value {
            Value::List(values) => self.list(&kind, values),
            Value::Map(entries) => {
                let Kind::Message(entry) = &kind else {
                    return Err(Unwritable("a map without entries".to_owned()));
                };
                let value_kind = entry.map_entry_value_field().kind();
                // Entries have no order; sorted, equal messages are equal bytes and an ETag holds.
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                self.out.push(b'{');
                for (index, (key, value)) in entries.into_iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.key(key)?;
                    self.out.push(b':');
                    self.single(&value_kind, value)?;
                }
                self.out.push(b'}');
                Ok(())
            }
            value => self.single(&kind, value),
        }
    }

    pub(super) fn list(&mut self, kind: &Kind, values: &[Value]) -> Written {
        self.out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.single(kind, value)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn key(&mut self, key: &MapKey) -> Written {
        match key {
            MapKey::String(key) => self.string(key),
            MapKey::Bool(key) => self.quoted(key),
            MapKey::I32(key) => self.quoted(key),
            MapKey::I64(key) => self.quoted(key),
            MapKey::U32(key) => self.quoted(key),
            MapKey::U64(key) => self.quoted(key),
        }
    }

    /// Writes one value of `kind`.
    pub(super) fn single(&mut self, kind: &Kind, value: &Value) -> Written {
        match value {
            Value::Bool(true) => self.raw(b"true"),
            Value::Bool(false) => self.raw(b"false"),
            Value::I32(value) => self.plain(value),
            Value::U32(value) => self.plain(value),
            // 64-bit numbers are strings: a JavaScript number would lose their last digits.
            Value::I64(value) => self.quoted(value),
            Value::U64(value) => self.quoted(value),
            Value::F32(value) if value.is_finite() => self.serialized(value),
            Value::F32(value) => self.not_finite(f64::from(*value)),
            Value::F64(value) if value.is_finite() => self.serialized(value),
            Value::F64(value) => self.not_finite(*value),
            Value::String(value) => self.string(value),
            Value::Bytes(value) => {
                self.out.push(b'"');
                let mut encoded = String::with_capacity(value.len().div_ceil(3) * 4);
                STANDARD.encode_string(value, &mut encoded);
                self.out.extend_from_slice(encoded.as_bytes());
                self.raw(b"\"")
            }
            Value::EnumNumber(number) => match kind {
                Kind::Enum(descriptor) if descriptor.full_name() == "google.protobuf.NullValue" => self.raw(b"null"),
                Kind::Enum(descriptor) => match printed(descriptor).find(|value| value.number() == *number) {
                    Some(value) => self.string(value.name()),
                    None => self.plain(number),
                },
                _ => self.plain(number),
            },
            Value::Message(message) => self.message(message),
            Value::List(values) => self.list(kind, values),
            Value::Map(_) => Err(Unwritable("a map inside a list".to_owned())),
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> Written {
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn string(&mut self, text: &str) -> Written {
        self.serialized(&text)
    }

    fn not_finite(&mut self, value: f64) -> Written {
        self.raw(if value.is_nan() {
            b"\"NaN\""
        } else if value > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        })
    }

    /// The shortest digits that read back as the same number, and strings with their escapes.
    fn serialized(&mut self, value: &impl serde::Serialize) -> Written {
        serde_json::to_writer(&mut *self.out, value).map_err(|error| Unwritable(error.to_string()))
    }

    fn plain(&mut self, value: &impl serde::Serialize) -> Written {
        self.serialized(value)
    }

    fn quoted(&mut self, value: &impl serde::Serialize) -> Written {
        self.out.push(b'"');
        self.serialized(value)?;
        self.raw(b"\"")
    }
}
