//! A message that a backend has sent: its JSON, and the fields that headers are made of.

use std::borrow::Cow;

use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::field_tree::FieldTree;
use super::json;
use super::wire::{self, Found};

pub(crate) use super::wire::Failure;

/// How the replies of a method are read and written.
#[derive(Debug)]
pub(crate) struct Reader {
    message: MessageDescriptor,
    /// The only field that becomes JSON.
    body: Option<FieldDescriptor>,
    /// Fields that stay out of the JSON.
    omitted: Vec<FieldDescriptor>,
    /// `None` where replies have to be decoded.
    plan: Option<wire::Plan>,
}

/// A message as it is read: as its bytes where they are enough.
pub(crate) enum Received {
    Wire(Bytes),
    Message(DynamicMessage),
}

/// The value of a field that a header can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
}

impl Reader {
    /// Replies of which the whole, or the field `body`, becomes JSON without the fields `omitted`.
    pub(crate) fn json(
        message: MessageDescriptor,
        body: Option<FieldDescriptor>,
        omitted: Vec<FieldDescriptor>,
    ) -> Self {
        Self {
            plan: wire::Plan::compile(&message, body.as_ref(), &omitted),
            message,
            body,
            omitted,
        }
    }

    /// Replies that do not become JSON.
    pub(crate) fn raw(message: MessageDescriptor) -> Self {
        Self {
            message,
            body: None,
            omitted: Vec::new(),
            plan: None,
        }
    }

    /// Takes a message in. Where it stays bytes, only [`Reader::write`] and [`Reader::check`] find
    /// out whether it is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn receive(&self, message: Bytes) -> Result<Received, Failure> {
        if self.plan.is_some() {
            return Ok(Received::Wire(message));
        }
        let message = DynamicMessage::decode(self.message.clone(), message);
        let message = message.map_err(|error| Failure::Malformed(error.to_string()))?;
        Ok(Received::Message(message))
    }

    /// Checks a message of which no JSON is made.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, received: &Received) -> Result<(), Failure> {
        match (received, &self.plan) {
            (Received::Wire(bytes), Some(plan)) => Ok(plan.check(bytes)?),
            _ => Ok(()),
        }
    }

    /// The JSON of a message; where there is a mask, of its fields alone.
    ///
    /// # Errors
    /// A message that is malformed, and one that has no JSON form.
    pub(crate) fn write(&self, received: &Received, mask: Option<&FieldTree>) -> Result<Vec<u8>, Failure> {
        match (received, &self.plan) {
            (Received::Wire(bytes), Some(plan)) => {
                // JSON has names where the wire has numbers.
                let mut out = Vec::with_capacity(256 + bytes.len() * 2);
                plan.write(bytes, mask, &mut out)?;
                Ok(out)
            }
            (Received::Wire(bytes), None) => {
                let message = self.receive(bytes.clone())?;
                self.write(&message, mask)
            }
            (Received::Message(message), _) => {
                let mut out = Vec::with_capacity(512);
                let mut writer = json::Writer::new(&mut out, &self.omitted).masked(mask);
                match &self.body {
                    Some(field) if field.supports_presence() && !message.has_field(field) => {
                        out.extend_from_slice(b"null");
                    }
                    Some(field) => writer.field(field, &message.get_field(field))?,
                    None => writer.message(message)?,
                }
                Ok(out)
            }
        }
    }
}

impl Received {
    /// The value of a single field, its default where it is unset. Of malformed bytes it is any.
    pub(crate) fn get(&self, field: &FieldDescriptor) -> Option<Scalar<'_>> {
        self.get_in(std::slice::from_ref(field))
    }

    /// The value of the single field at the end of `chain`.
    pub(crate) fn get_in(&self, chain: &[FieldDescriptor]) -> Option<Scalar<'_>> {
        match self {
            Self::Wire(bytes) => {
                let field = chain.last()?;
                match wire::find(bytes, chain) {
                    Some(found) => Scalar::found(found, &field.kind()),
                    None => Scalar::of(&field.default_value()),
                }
            }
            Self::Message(message) => in_message(message, chain),
        }
    }

    /// The value of a string that is set; empty where an empty one counts as set.
    pub(crate) fn text(&self, field: &FieldDescriptor) -> Option<Cow<'_, str>> {
        let is_set = match self {
            Self::Wire(bytes) => match wire::last(bytes, field) {
                None => false,
                Some(found) => field.supports_presence() || found != Found::Bytes(b""),
            },
            Self::Message(message) => message.has_field(field),
        };
        match self.get(field) {
            Some(Scalar::Text(text)) if is_set => Some(text),
            _ => None,
        }
    }

    /// Whether the last value of a message's field holds anything, such as a mask that is no empty
    /// one.
    pub(crate) fn has_content(message: &[u8], field: &FieldDescriptor) -> bool {
        matches!(wire::last(message, field), Some(Found::Bytes([_, ..])))
    }

    /// The decoded message, of replies that do not become JSON.
    pub(crate) fn message(&self) -> Option<&DynamicMessage> {
        match self {
            Self::Wire(_) => None,
            Self::Message(message) => Some(message),
        }
    }
}

fn in_message<'a>(message: &DynamicMessage, chain: &[FieldDescriptor]) -> Option<Scalar<'a>> {
    let (field, rest) = chain.split_first()?;
    let value = message.get_field(field);
    match rest {
        [] => Scalar::of(&value),
        rest => in_message(value.as_message()?, rest),
    }
}

impl<'a> Scalar<'a> {
    /// The text of a string.
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::String(text) => Self::Text(Cow::Owned(text.clone())),
            Value::I32(number) => Self::Signed((*number).into()),
            Value::I64(number) => Self::Signed(*number),
            Value::U32(number) => Self::Unsigned((*number).into()),
            Value::U64(number) => Self::Unsigned(*number),
            Value::Bool(value) => Self::Bool(*value),
            _ => return None,
        })
    }

    fn found(found: Found<'a>, kind: &Kind) -> Option<Self> {
        Some(match (found, kind) {
            (Found::Bytes(bytes), Kind::String) => Self::Text(Cow::Borrowed(std::str::from_utf8(bytes).ok()?)),
            (Found::Number(number), Kind::Int32 | Kind::Sfixed32) => Self::Signed((number as i32).into()),
            (Found::Number(number), Kind::Int64 | Kind::Sfixed64) => Self::Signed(number as i64),
            (Found::Number(number), Kind::Sint32) => Self::Signed(wire::zigzag32(number).into()),
            (Found::Number(number), Kind::Sint64) => Self::Signed(wire::zigzag64(number)),
            (Found::Number(number), Kind::Uint32 | Kind::Fixed32) => Self::Unsigned((number as u32).into()),
            (Found::Number(number), Kind::Uint64 | Kind::Fixed64) => Self::Unsigned(number),
            (Found::Number(number), Kind::Bool) => Self::Bool(number != 0),
            _ => return None,
        })
    }
}
