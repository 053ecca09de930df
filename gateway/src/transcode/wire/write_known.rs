//! Writing the messages that have a form of their own.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::cursor::{Cursor, utf8};
use super::plan::{Form, Kind, Message};
use super::slot::Slot;
use super::write::{Writer, Written};
use super::{Failure, check, text};
use crate::transcode::json::{self, Unwritable};
use crate::transcode::{mask, time};

impl<'p> Writer<'p, '_> {
    /// Writes a message whose slots begin at `base`.
    pub(super) fn known(&mut self, message: &'p Message, bytes: &[u8], base: usize, level: u32) -> Written {
        match message.form {
            Form::Timestamp => {
                let (seconds, nanos) = self.span(bytes, base)?;
                self.out.push(b'"');
                if !time::write_timestamp(seconds, nanos, self.out) {
                    let why = format!("a timestamp of {seconds} s and {nanos} ns is out of range");
                    return Err(Unwritable(why).into());
                }
                self.out.push(b'"');
                Ok(())
            }
            Form::Duration => {
                let (seconds, nanos) = self.span(bytes, base)?;
                self.out.push(b'"');
                if !time::write_duration(seconds, nanos, self.out) {
                    let why = format!("a duration of {seconds} s and {nanos} ns is out of range");
                    return Err(Unwritable(why).into());
                }
                self.out.push(b'"');
                Ok(())
            }
            Form::FieldMask => {
                let Slot { from, to, .. } = self.slots[base];
                let mut cursor = Cursor::between(bytes, from, to);
                let mut paths = Vec::new();
                while cursor.next_of(1)?.is_some() {
                    paths.push(utf8(cursor.delimited()?)?);
                }
                text::string(mask::format(paths.into_iter()).as_bytes(), self.out)
            }
            Form::Only => self.value(&message.fields[0], bytes, self.slots[base], level, None),
            Form::Value => {
                let set = message.fields.iter().zip(&self.slots[base..]);
                let Some((field, slot)) = set.map(|(field, slot)| (field, *slot)).find(|(_, slot)| slot.count > 0)
                else {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                };
                if matches!(field.kind, Kind::Double) {
                    let number = Cursor::between(bytes, slot.from, slot.to).fixed64()?;
                    // A string here would be read back as a string.
                    if !f64::from_bits(number).is_finite() {
                        let why = "a google.protobuf.Value is not a finite number".to_owned();
                        return Err(Unwritable(why).into());
                    }
                }
                self.value(field, bytes, slot, level, None)
            }
            Form::Object | Form::Any(_) => Err(Unwritable("a form that is not known".to_owned()).into()),
        }
    }

    /// Writes an `Any`: what it holds is known from its own bytes alone.
    pub(super) fn any(&mut self, any: &MessageDescriptor, index: usize, bytes: &[u8], level: u32) -> Written {
        check::message(self.plan, index, bytes, level)?;
        let message = DynamicMessage::decode(any.clone(), Bytes::copy_from_slice(bytes))
            .map_err(|error| Failure::Malformed(error.to_string()))?;
        let mut writer = json::Writer::new(self.out, &self.plan.omitted).below((level + self.above) as usize - 1);
        Ok(writer.message(&message)?)
    }

    fn span(&self, bytes: &[u8], base: usize) -> Result<(i64, i32), Failure> {
        let number = |slot: Slot| match slot.count {
            0 => Ok(0),
            _ => Cursor::between(bytes, slot.from, slot.to).varint(),
        };
        let (seconds, nanos) = (number(self.slots[base])?, number(self.slots[base + 1])?);
        Ok((seconds as i64, nanos as i32))
    }
}
