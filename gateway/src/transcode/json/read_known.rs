//! Reading the messages that have a form of their own: `Any`, `Struct`, `Timestamp`, wrappers and
//! the rest.

use std::collections::HashMap;

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};

use super::lexer::{Read, Token};
use super::read::Reader;
use crate::transcode::known::{Known, known};
use crate::transcode::text;
use crate::transcode::violations::Broken;

impl Reader<'_> {
    /// A message with a special form; `None` when it broke a rule.
    pub(super) fn known(&mut self, descriptor: &MessageDescriptor) -> Read<Option<DynamicMessage>> {
        let mut message = DynamicMessage::new(descriptor.clone());
        match known(descriptor) {
            Some(Known::Timestamp | Known::Duration | Known::FieldMask) => {
                if self.lexer.peek()? != Token::String {
                    return self.refuse("must be a string");
                }
                let read = text::message(descriptor, &self.lexer.string()?);
                return Ok(self.valid(read));
            }
            Some(Known::Wrapper) => {
                let Some(field) = descriptor.get_field(1) else {
                    return Ok(None);
                };
                let Some(value) = self.single(&field.kind())? else {
                    return Ok(None);
                };
                message.set_field(&field, value);
            }
            Some(Known::Any) => return self.any(message),
            Some(Known::Struct) => return self.structure(message),
            Some(Known::List) => return self.list_value(message),
            Some(Known::Value) => return self.value(message),
            Some(Known::Empty) | None => {
                if self.lexer.peek()? != Token::Object {
                    return self.refuse("must be an object");
                }
                self.object(&mut message, None)?;
            }
        }
        Ok(Some(message))
    }

    /// `{"@type": …}` with the fields of that type beside it, or under `value` for a type with a
    /// form of its own.
    fn any(&mut self, mut any: DynamicMessage) -> Read<Option<DynamicMessage>> {
        if self.lexer.peek()? != Token::Object {
            return self.refuse("must be an object");
        }
        let url = match self.type_url()? {
            Ok(Some(url)) => url,
            Ok(None) => {
                self.lexer.skip()?;
                return Ok(Some(any));
            }
            Err(broken) => {
                self.violations.add(broken);
                self.lexer.skip()?;
                return Ok(None);
            }
        };
        let name = url.rsplit_once('/').map(|(_, name)| name);
        let pool = any.descriptor().parent_pool().clone();
        let Some(descriptor) = name.and_then(|name| pool.get_message_by_name(name)) else {
            self.violations.add(Broken::new(
                "ENUM",
                format!("`{}` is not a known type", crate::transcode::violations::repeated(&url)),
            ));
            self.lexer.skip()?;
            return Ok(None);
        };
        let mut message = DynamicMessage::new(descriptor.clone());
        if known(&descriptor).is_some() {
            match self.any_value(&descriptor)? {
                Some(value) => message = value,
                None => return Ok(None),
            }
        } else {
            self.object(&mut message, Some("@type"))?;
        }
        any.set_field_by_number(1, Value::String(url));
        any.set_field_by_number(2, Value::Bytes(message.encode_to_vec().into()));
        Ok(Some(any))
    }

    /// Reads ahead to `@type`, which need not be the first key. `None` for an empty object.
    fn type_url(&self) -> Read<Result<Option<String>, Broken>> {
        let mut ahead = self.lexer.clone();
        ahead.open()?;
        let mut first = true;
        let mut url = None;
        while let Some(key) = ahead.key(first)? {
            first = false;
            if key != "@type" {
                ahead.skip()?;
            } else if url.is_some() {
                return Ok(Err(Broken::new("DUPLICATE", "`@type` is given twice")));
            } else if ahead.peek()? == Token::String {
                url = Some(ahead.string()?.into_owned());
            } else {
                return Ok(Err(Broken::new("TYPE", "`@type` must be a string")));
            }
        }
        if url.is_none() && !first {
            return Ok(Err(Broken::new("REQUIRED", "`@type` is missing")));
        }
        Ok(Ok(url))
    }

    /// The `value` beside `@type`.
    fn any_value(&mut self, descriptor: &MessageDescriptor) -> Read<Option<DynamicMessage>> {
        let mut read = None;
        let mut given = false;
        let mut first = true;
        self.lexer.open()?;
        while let Some(key) = self.lexer.key(first)? {
            first = false;
            match &*key {
                "@type" => self.lexer.skip()?,
                "value" if !given => {
                    given = true;
                    read = self
                        .single(&Kind::Message(descriptor.clone()))?
                        .and_then(|value| match value {
                            Value::Message(message) => Some(message),
                            _ => None,
                        });
                }
                key => {
                    let mark = self.violations.enter(key);
                    let (rule, description) = if key == "value" {
                        ("DUPLICATE", "is given twice")
                    } else {
                        ("UNKNOWN", "is not a known field")
                    };
                    self.violations.add(Broken::new(rule, description));
                    self.violations.leave(mark);
                    self.lexer.skip()?;
                }
            }
        }
        if !given {
            self.violations.add(Broken::new("REQUIRED", "`value` is missing"));
        }
        Ok(read)
    }

    /// Any object: a `google.protobuf.Struct`.
    fn structure(&mut self, mut message: DynamicMessage) -> Read<Option<DynamicMessage>> {
        if self.lexer.peek()? != Token::Object {
            return self.refuse("must be an object");
        }
        let descriptor = message.descriptor();
        let Some(Kind::Message(entry)) = descriptor.get_field(1).map(|field| field.kind()) else {
            return Ok(None);
        };
        let kind = entry.map_entry_value_field().kind();
        let mut fields = HashMap::new();
        let mut first = true;
        self.lexer.open()?;
        while let Some(key) = self.lexer.key(first)? {
            first = false;
            let mark = self.violations.enter(&key);
            if let Some(value) = self.nested(|reader| reader.single(&kind))?
                && fields.insert(MapKey::String(key.into_owned()), value).is_some()
            {
                self.violations.add(Broken::new("DUPLICATE", "is given twice"));
            }
            self.violations.leave(mark);
        }
        message.set_field_by_number(1, Value::Map(fields));
        Ok(Some(message))
    }

    /// Any array: a `google.protobuf.ListValue`.
    fn list_value(&mut self, mut message: DynamicMessage) -> Read<Option<DynamicMessage>> {
        if self.lexer.peek()? != Token::Array {
            return self.refuse("must be an array");
        }
        let Some(kind) = message.descriptor().get_field(1).map(|field| field.kind()) else {
            return Ok(None);
        };
        let mut values = Vec::new();
        let mut index = 0;
        self.lexer.open()?;
        while self.lexer.element(index == 0)? {
            let mark = self.violations.enter_index(index);
            values.extend(self.single(&kind)?);
            self.violations.leave(mark);
            index += 1;
        }
        message.set_field_by_number(1, Value::List(values));
        Ok(Some(message))
    }

    /// Anything: a `google.protobuf.Value`, with the number of its oneof's field and that field's
    /// value.
    fn value(&mut self, mut message: DynamicMessage) -> Read<Option<DynamicMessage>> {
        let (number, value) = match self.lexer.peek()? {
            Token::Null => {
                self.lexer.word("null")?;
                (1, Some(Value::EnumNumber(0)))
            }
            Token::Number => {
                let number = text::number(&Kind::Double, self.lexer.number()?);
                (2, self.valid(number))
            }
            Token::String => (3, Some(Value::String(self.lexer.string()?.into_owned()))),
            Token::True => {
                self.lexer.word("true")?;
                (4, Some(Value::Bool(true)))
            }
            Token::False => {
                self.lexer.word("false")?;
                (4, Some(Value::Bool(false)))
            }
            token @ (Token::Object | Token::Array) => {
                let number = if token == Token::Object { 5 } else { 6 };
                let Some(field) = message.descriptor().get_field(number) else {
                    return Ok(None);
                };
                (number, self.single(&field.kind())?)
            }
        };
        let Some(value) = value else { return Ok(None) };
        message.set_field_by_number(number, value);
        Ok(Some(message))
    }
}
