//! Reading values: single ones, lists and maps.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, Value};

use super::lexer::{Read, Token};
use super::read::Reader;
use crate::transcode::known::{Known, known};
use crate::transcode::violations::Broken;
use crate::transcode::{MAX_MESSAGES, most, text};

impl Reader<'_> {
    /// The value of a field; `None` leaves it unset.
    pub(super) fn field_value(&mut self, field: &FieldDescriptor) -> Read<Option<Value>> {
        let token = self.lexer.peek()?;
        let kind = field.kind();
        if token == Token::Null && (field.is_list() || field.is_map() || !takes_null(&kind)) {
            self.lexer.word("null")?;
            return Ok(None);
        }
        if field.is_map() {
            return self.map(&kind);
        }
        if field.is_list() {
            return self.list(&kind, most::of(field));
        }
        self.single(&kind)
    }

    /// A list of which so many elements are read at the most.
    fn list(&mut self, kind: &Kind, most: Option<usize>) -> Read<Option<Value>> {
        if self.lexer.peek()? != Token::Array {
            return self.refuse("must be an array");
        }
        let mut values = Vec::new();
        let mut index = 0;
        self.lexer.open()?;
        while self.lexer.element(index == 0)? {
            if most.is_some_and(|most| index >= most) {
                self.lexer.skip()?;
                index += 1;
                continue;
            }
            let mark = self.violations.enter_index(index);
            values.extend(self.single(kind)?);
            self.violations.leave(mark);
            index += 1;
        }
        Ok(Some(Value::List(values)))
    }

    fn map(&mut self, kind: &Kind) -> Read<Option<Value>> {
        let Kind::Message(entry) = kind else {
            return self.refuse("must not be given");
        };
        if self.lexer.peek()? != Token::Object {
            return self.refuse("must be an object");
        }
        let (key_kind, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut values = HashMap::new();
        let mut first = true;
        self.lexer.open()?;
        while let Some(key) = self.lexer.key(first)? {
            first = false;
            let mark = self.violations.enter_key(&key);
            let key = map_key(&key_kind, key);
            let value = self.nested(|reader| reader.single(&value_kind))?;
            match (key, value) {
                (Err(broken), _) => self.violations.add(broken),
                (Ok(key), Some(value)) => match values.entry(key) {
                    Entry::Vacant(entry) => drop(entry.insert(value)),
                    Entry::Occupied(_) => self.violations.add(Broken::new("DUPLICATE", "is given twice")),
                },
                (Ok(_), None) => {}
            }
            self.violations.leave(mark);
        }
        Ok(Some(Value::Map(values)))
    }

    /// One value; `None` when it broke a rule.
    pub(super) fn single(&mut self, kind: &Kind) -> Read<Option<Value>> {
        match kind {
            Kind::Message(_) => self.nested(|reader| reader.value_of(kind)),
            _ => self.value_of(kind),
        }
    }

    /// Reads what is in one more message: another one, or the entry of a map.
    pub(super) fn nested(&mut self, read: impl FnOnce(&mut Self) -> Read<Option<Value>>) -> Read<Option<Value>> {
        if self.messages == MAX_MESSAGES {
            self.violations.add(Broken::new("DEPTH", "nests too deeply"));
            self.lexer.skip()?;
            return Ok(None);
        }
        self.messages += 1;
        let value = read(self);
        self.messages -= 1;
        value
    }

    fn value_of(&mut self, kind: &Kind) -> Read<Option<Value>> {
        let token = self.lexer.peek()?;
        if token == Token::Null && !takes_null(kind) {
            return self.refuse("must not be null");
        }
        match kind {
            Kind::Message(descriptor) if known(descriptor).is_some() => Ok(self.known(descriptor)?.map(Value::Message)),
            Kind::Message(descriptor) => {
                let mut message = DynamicMessage::new(descriptor.clone());
                self.message_fields(&mut message)?;
                Ok(Some(Value::Message(message)))
            }
            Kind::Bool => match token {
                Token::True => self.lexer.word("true").map(|()| Some(Value::Bool(true))),
                Token::False => self.lexer.word("false").map(|()| Some(Value::Bool(false))),
                _ => self.refuse("must be `true` or `false`"),
            },
            Kind::String => match token {
                Token::String => Ok(Some(Value::String(self.lexer.string()?.into_owned()))),
                _ => self.refuse("must be a string"),
            },
            Kind::Bytes => match token {
                Token::String => {
                    let bytes = text::bytes(&self.lexer.string()?);
                    Ok(self.valid(bytes.map(|bytes| Value::Bytes(bytes.into()))))
                }
                _ => self.refuse("must be a string of base64"),
            },
            Kind::Enum(descriptor) => match token {
                Token::String => {
                    let number = text::enum_number(descriptor, &self.lexer.string()?);
                    Ok(self.valid(number.map(Value::EnumNumber)))
                }
                Token::Number => {
                    let number = text::number(&Kind::Int32, self.lexer.number()?);
                    Ok(self
                        .valid(number)
                        .and_then(|number| number.as_i32())
                        .map(Value::EnumNumber))
                }
                Token::Null => self.lexer.word("null").map(|()| Some(Value::EnumNumber(0))),
                _ => self.refuse("must be the name of a value"),
            },
            number => match token {
                Token::Number => {
                    let value = text::number(number, self.lexer.number()?);
                    Ok(self.valid(value))
                }
                Token::String => {
                    let value = text::number(number, &self.lexer.string()?);
                    Ok(self.valid(value))
                }
                _ => self.refuse("must be a number"),
            },
        }
    }
}

/// Whether `null` is a value of `kind`; for every other kind it leaves a field unset.
fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => known(message) == Some(Known::Value),
        Kind::Enum(descriptor) => descriptor.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn map_key(kind: &Kind, key: Cow<'_, str>) -> Result<MapKey, Broken> {
    if *kind == Kind::String {
        return Ok(MapKey::String(key.into_owned()));
    }
    match text::value(kind, &key)? {
        Value::Bool(key) => Ok(MapKey::Bool(key)),
        Value::I32(key) => Ok(MapKey::I32(key)),
        Value::I64(key) => Ok(MapKey::I64(key)),
        Value::U32(key) => Ok(MapKey::U32(key)),
        Value::U64(key) => Ok(MapKey::U64(key)),
        _ => Err(Broken::new("TYPE", "cannot be a key")),
    }
}
