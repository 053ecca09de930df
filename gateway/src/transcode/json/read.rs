//! Reading ProtoJSON into messages.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use http::StatusCode;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};
use quartet_proto::options::Reason;

use super::lexer::{Lexer, Malformed, Token};
use super::malformed;
use crate::problem::Problem;
use crate::transcode::known::{Known, known};
use crate::transcode::text;
use crate::transcode::violations::{Broken, Violations};

/// Paths of the fields that a body names, for an inferred update mask.
pub(crate) type Recorded = Vec<String>;

/// Messages within one another that a service is sent; protobuf's own limit is 100.
const MAX_MESSAGES: usize = 90;

/// A body that is being read. Broken rules are collected; only text that is no JSON stops it.
pub(crate) struct Reader<'a> {
    pub(super) lexer: Lexer<'a>,
    text: &'a str,
    pub(super) violations: Violations,
    /// Fields that no body may set; to a client they do not exist.
    barred: &'a [FieldDescriptor],
    /// Messages that the value at hand lies in, as protobuf counts them.
    messages: usize,
    /// Set while the keys at hand belong in an update mask.
    recorded: Option<Recorded>,
}

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    /// A reader of `body` that refuses the fields in `barred`.
    ///
    /// # Errors
    /// 400 `MALFORMED_JSON` when the body is not UTF-8.
    pub(crate) fn new(body: &'a [u8], barred: &'a [FieldDescriptor]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body)
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, Reason::MalformedJson, "the body is not UTF-8"))?;
        Ok(Self {
            lexer: Lexer::new(text),
            text,
            violations: Violations::default(),
            barred,
            messages: 0,
            recorded: None,
        })
    }

    /// Also notes the path of each field that the body names.
    pub(crate) fn recording(mut self) -> Self {
        self.recorded = Some(Recorded::new());
        self
    }

    /// Reads the body as a whole message.
    ///
    /// # Errors
    /// 400 `MALFORMED_JSON`, or 422 `VALIDATION_FAILED` with every rule that the body breaks.
    pub(crate) fn message(mut self, message: &mut DynamicMessage) -> Result<Recorded, Problem> {
        let descriptor = message.descriptor();
        let read = if known(&descriptor).is_none() {
            self.message_fields(message)
        } else {
            self.known(&descriptor).map(|read| {
                if let Some(read) = read {
                    *message = read;
                }
            })
        };
        self.finish(read)
    }

    /// Reads the body as one field of `message`.
    ///
    /// # Errors
    /// As [`Reader::message`].
    pub(crate) fn field(mut self, message: &mut DynamicMessage, field: &FieldDescriptor) -> Result<Recorded, Problem> {
        let read = self.field_value(field).map(|value| {
            if let Some(value) = value {
                message.set_field(field, value);
            }
        });
        self.finish(read)
    }

    fn finish(mut self, read: Read<()>) -> Result<Recorded, Problem> {
        read.and_then(|()| self.lexer.end())
            .map_err(|error| malformed(self.text, &error))?;
        self.violations.check()?;
        Ok(self.recorded.unwrap_or_default())
    }

    /// An object into the fields of `message`.
    fn message_fields(&mut self, message: &mut DynamicMessage) -> Read<()> {
        if self.lexer.peek()? != Token::Object {
            return self.refuse("must be an object");
        }
        self.object(message, None)
    }

    /// An object into the fields of `message`; the key `except` is passed over.
    pub(super) fn object(&mut self, message: &mut DynamicMessage, except: Option<&str>) -> Read<()> {
        let descriptor = message.descriptor();
        let mut seen: Vec<u32> = Vec::new();
        self.lexer.open()?;
        let mut first = true;
        while let Some(key) = self.lexer.key(first)? {
            first = false;
            if except == Some(&*key) {
                self.lexer.skip()?;
                continue;
            }
            let Some(field) = self.named(&descriptor, &key) else {
                let mark = self.violations.enter(&key);
                self.violations.add(Broken::new("UNKNOWN", "is not a known field"));
                self.violations.leave(mark);
                self.lexer.skip()?;
                continue;
            };
            let mark = self.violations.enter(field.name());
            self.entry(message, &field, &mut seen)?;
            self.violations.leave(mark);
        }
        Ok(())
    }

    fn named(&self, descriptor: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
        let field = descriptor
            .get_field_by_name(key)
            .or_else(|| descriptor.get_field_by_json_name(key))?;
        (!self.barred.contains(&field)).then_some(field)
    }

    fn entry(&mut self, message: &mut DynamicMessage, field: &FieldDescriptor, seen: &mut Vec<u32>) -> Read<()> {
        if seen.contains(&field.number()) {
            self.violations.add(Broken::new("DUPLICATE", "is given twice"));
            return self.lexer.skip();
        }
        seen.push(field.number());
        let Some(value) = self.recorded_value(field)? else {
            return Ok(());
        };
        if let Some(oneof) = field.containing_oneof()
            && let Some(other) = oneof.fields().find(|other| other != field && message.has_field(other))
        {
            let description = format!("cannot be given together with `{}`", other.name());
            self.violations.add(Broken::new("ONE_OF", description));
            return Ok(());
        }
        message.set_field(field, value);
        Ok(())
    }

    /// A field's value; its path goes into the update mask unless the paths of fields inside it do.
    fn recorded_value(&mut self, field: &FieldDescriptor) -> Read<Option<Value>> {
        let Some(mut recorded) = self.recorded.take() else {
            return self.field_value(field);
        };
        let plain = matches!(field.kind(), Kind::Message(message) if known(&message).is_none());
        if plain && !field.is_list() && !field.is_map() && self.lexer.peek()? == Token::Object {
            let before = recorded.len();
            self.recorded = Some(recorded);
            let value = self.field_value(field)?;
            // An empty object names no field inside; it stands for the message itself.
            if let Some(recorded) = &mut self.recorded
                && recorded.len() == before
            {
                recorded.push(self.violations.path.clone());
            }
            return Ok(value);
        }
        recorded.push(self.violations.path.clone());
        let value = self.field_value(field);
        self.recorded = Some(recorded);
        value
    }

    /// The value of a field; `None` leaves it unset.
    fn field_value(&mut self, field: &FieldDescriptor) -> Read<Option<Value>> {
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
            return self.list(&kind);
        }
        self.single(&kind)
    }

    fn list(&mut self, kind: &Kind) -> Read<Option<Value>> {
        if self.lexer.peek()? != Token::Array {
            return self.refuse("must be an array");
        }
        let mut values = Vec::new();
        let mut index = 0;
        self.lexer.open()?;
        while self.lexer.element(index == 0)? {
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
            let value = self.single(&value_kind)?;
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
        let Kind::Message(descriptor) = kind else {
            return self.value_of(kind);
        };
        // JSON's own depth is not the message's: each level of a `Struct` is three messages, and a service refuses what nests deeper than
        // 100 as undecodable.
        let cost = if known(descriptor).is_some() { 3 } else { 1 };
        self.messages += cost;
        if self.messages > MAX_MESSAGES {
            self.messages -= cost;
            self.violations.add(Broken::new("DEPTH", "nests too deeply"));
            self.lexer.skip()?;
            return Ok(None);
        }
        let value = self.value_of(kind);
        self.messages -= cost;
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
                    Ok(self.kept(bytes.map(|bytes| Value::Bytes(bytes.into()))))
                }
                _ => self.refuse("must be a string of base64"),
            },
            Kind::Enum(descriptor) => match token {
                Token::String => {
                    let number = text::enum_number(descriptor, &self.lexer.string()?);
                    Ok(self.kept(number.map(Value::EnumNumber)))
                }
                Token::Number => {
                    let number = text::number(&Kind::Int32, self.lexer.number()?);
                    Ok(self
                        .kept(number)
                        .and_then(|number| number.as_i32())
                        .map(Value::EnumNumber))
                }
                Token::Null => self.lexer.word("null").map(|()| Some(Value::EnumNumber(0))),
                _ => self.refuse("must be the name of a value"),
            },
            number => match token {
                Token::Number => {
                    let value = text::number(number, self.lexer.number()?);
                    Ok(self.kept(value))
                }
                Token::String => {
                    let value = text::number(number, &self.lexer.string()?);
                    Ok(self.kept(value))
                }
                _ => self.refuse("must be a number"),
            },
        }
    }

    /// Notes that the value at hand is of the wrong type, and passes over it.
    pub(super) fn refuse<T: Default>(&mut self, description: &str) -> Read<T> {
        let whole = self.violations.path.is_empty();
        let description = if whole {
            format!("the body {description}")
        } else {
            description.to_owned()
        };
        self.violations.add(Broken::new("TYPE", description));
        self.lexer.skip()?;
        Ok(T::default())
    }

    /// The value, or `None` with its rule noted.
    pub(super) fn kept<T>(&mut self, value: Result<T, Broken>) -> Option<T> {
        value.map_err(|broken| self.violations.add(broken)).ok()
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
