//! Writing the messages that have a form of their own.

use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use super::write::{Unwritable, Writer, Written};
use crate::transcode::known::{Known, known};
use crate::transcode::{mask, time};

impl Writer<'_> {
    pub(super) fn known(&mut self, form: Known, message: &DynamicMessage) -> Written {
        match form {
            Known::Timestamp => {
                let (seconds, nanos) = span(message);
                self.out.push(b'"');
                if !time::write_timestamp(seconds, nanos, self.out) {
                    let why = format!("a timestamp of {seconds} s and {nanos} ns is out of range");
                    return Err(Unwritable(why));
                }
                self.raw(b"\"")
            }
            Known::Duration => {
                let (seconds, nanos) = span(message);
                self.out.push(b'"');
                if !time::write_duration(seconds, nanos, self.out) {
                    let why = format!("a duration of {seconds} s and {nanos} ns is out of range");
                    return Err(Unwritable(why));
                }
                self.raw(b"\"")
            }
            Known::FieldMask => {
                let Some(paths) = message.get_field_by_number(1) else {
                    return self.raw(b"\"\"");
                };
                let paths = paths.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
                self.string(&mask::format(paths))
            }
            Known::Wrapper | Known::Struct | Known::List => match message.descriptor().get_field(1) {
                Some(field) => self.field(&field, &message.get_field(&field)),
                None => self.raw(b"null"),
            },
            Known::Value => self.value(message),
            Known::Empty => self.raw(b"{}"),
            Known::Any => self.any(message),
        }
    }

    fn value(&mut self, message: &DynamicMessage) -> Written {
        match message.fields().next() {
            // A string here would be read back as a string.
            Some((_, Value::F64(number))) if !number.is_finite() => {
                Err(Unwritable("a google.protobuf.Value is not a finite number".to_owned()))
            }
            Some((field, value)) => self.field(&field, value),
            None => self.raw(b"null"),
        }
    }

    fn any(&mut self, any: &DynamicMessage) -> Written {
        let url = any.get_field_by_number(1);
        let url = url.as_ref().and_then(|url| url.as_str()).unwrap_or_default();
        if url.is_empty() {
            return self.raw(b"{}");
        }
        let descriptor = url
            .rsplit_once('/')
            .and_then(|(_, name)| any.descriptor().parent_pool().get_message_by_name(name))
            .ok_or_else(|| Unwritable(format!("an Any holds `{url}`, which is not a known type")))?;
        let bytes = any.get_field_by_number(2);
        let bytes = bytes
            .as_ref()
            .and_then(|bytes| bytes.as_bytes())
            .cloned()
            .unwrap_or_default();
        let form = known(&descriptor);
        let message = DynamicMessage::decode(descriptor, bytes)
            .map_err(|error| Unwritable(format!("an Any does not hold a `{url}`: {error}")))?;
        self.raw(b"{\"@type\":")?;
        self.string(url)?;
        if form.is_some() {
            self.raw(b",\"value\":")?;
            self.message(&message)?;
        } else {
            self.fields(&message, false)?;
        }
        self.raw(b"}")
    }
}

fn span(message: &DynamicMessage) -> (i64, i32) {
    let seconds = message.get_field_by_number(1).and_then(|value| value.as_i64());
    let nanos = message.get_field_by_number(2).and_then(|value| value.as_i32());
    (seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
