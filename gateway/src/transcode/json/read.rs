//! Reading ProtoJSON into messages.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::lexer::{Lexer, Malformed, Read, Token};
use super::malformed;
use crate::problem::Problem;
use crate::transcode::known::known;
use crate::transcode::violations::{Broken, Violations, repeated};

fn not_utf8(body: &[u8], at: usize) -> Problem {
    let before = std::str::from_utf8(&body[..at]).unwrap_or_default();
    let message = "the body is not UTF-8";
    malformed(before, &Malformed { at, message })
}

/// No more than so many names of fields are listed in place of one that is not known.
const LISTED: usize = 20;

/// Paths of the fields that a body names, for an inferred update mask.
pub(crate) type Recorded = Vec<String>;

/// A body that is being read. Broken rules are collected; only text that is no JSON stops it.
pub(crate) struct Reader<'a> {
    pub(super) lexer: Lexer<'a>,
    text: &'a str,
    pub(super) violations: Violations,
    /// Fields that no body may set; to a client they do not exist.
    barred: &'a [FieldDescriptor],
    /// Messages around the current value, counted as protobuf counts them.
    pub(super) messages: usize,
    /// Set while the current keys belong in an update mask.
    recorded: Option<Recorded>,
}

impl<'a> Reader<'a> {
    /// A reader of `body` that refuses the fields in `barred`.
    ///
    /// # Errors
    /// 400 `MALFORMED_JSON` when the body is not UTF-8.
    pub(crate) fn new(body: &'a [u8], barred: &'a [FieldDescriptor]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
        Ok(Self {
            lexer: Lexer::new(text),
            text,
            violations: Violations::default(),
            barred,
            messages: 0,
            recorded: None,
        })
    }

    /// The body is itself a message of the request's, one level below it.
    pub(crate) fn inside(mut self) -> Self {
        self.messages = 1;
        self
    }

    /// Also records the path of each field that the body names.
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
    /// See [`Reader::message`].
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
    pub(super) fn message_fields(&mut self, message: &mut DynamicMessage) -> Read<()> {
        if self.lexer.peek()? != Token::Object {
            return self.refuse("must be an object");
        }
        self.object(message, None)
    }

    /// An object into the fields of `message`; the key `except` is skipped.
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
                let mark = self.violations.enter(&repeated(&key));
                self.violations.add(Broken::new("UNKNOWN", self.unknown(&descriptor)));
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

    /// The rule that a key breaks which no field has, with the names that there are.
    fn unknown(&self, descriptor: &MessageDescriptor) -> String {
        let names: Vec<_> = descriptor
            .fields()
            .filter(|field| !self.barred.contains(field))
            .take(LISTED)
            .map(|field| format!("`{}`", field.name()))
            .collect();
        match names.is_empty() {
            true => "is not a known field".to_owned(),
            false => format!("is not a known field; there are {}", names.join(", ")),
        }
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
            // An empty object names no field inside; the path is the message's own.
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

    /// Records that the current value is of the wrong type, and skips it.
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

    /// The value, or `None` with its broken rule recorded.
    pub(super) fn valid<T>(&mut self, value: Result<T, Broken>) -> Option<T> {
        value.map_err(|broken| self.violations.add(broken)).ok()
    }
}
