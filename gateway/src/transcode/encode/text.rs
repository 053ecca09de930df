//! Values that are text: of a path, a query or a form, and the strings of a body.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::Kind;

use super::plan::{Chain, Form, Plan, Shape, Type, Values};
use super::{Plain, Unclear, put};
use crate::transcode::{mask, text, time};

impl Plan {
    /// Appends the value `text` of the field at the end of `chain`, whatever was there before.
    pub(crate) fn text(&self, chain: &Chain, text: &str, out: &mut Vec<u8>) -> Plain<()> {
        self.text_in(self.root, &chain.0, text, out)
    }

    /// The same from the message at `index`.
    pub(super) fn text_in(&self, index: usize, chain: &[usize], text: &str, out: &mut Vec<u8>) -> Plain<()> {
        let Some((first, rest)) = chain.split_first() else {
            return Err(Unclear);
        };
        let field = &self.messages[index].fields[*first];
        match (&field.of, rest) {
            (Type::Message(inner), [_, ..]) => {
                encode_key(field.number, WireType::LengthDelimited, out);
                put::delimited(out, |out| self.text_in(*inner, rest, text, out))
            }
            (of, []) if field.shape != Shape::Map => {
                encode_key(field.number, of.wire_type(), out);
                self.text_value(of, text, out)
            }
            _ => Err(Unclear),
        }
    }

    /// Appends a value without its key.
    pub(super) fn text_value(&self, of: &Type, text: &str, out: &mut Vec<u8>) -> Plain<()> {
        match of {
            Type::Scalar(Kind::Bool) => match text {
                "true" => out.push(1),
                "false" => out.push(0),
                _ => return Err(Unclear),
            },
            Type::Scalar(kind) => scalar(kind, text, out)?,
            Type::Enum(values) => {
                let number = text::integer::<i32>(text).or_else(|_| values.number(text));
                encode_varint(number? as u64, out);
            }
            Type::Message(index) => {
                let message = &self.messages[*index];
                let start = put::open(out);
                match (message.form, &*message.fields) {
                    (Form::Wrapper, [field]) => {
                        encode_key(1, field.of.wire_type(), out);
                        self.text_value(&field.of, text, out)?;
                    }
                    (form, _) => known(form, text, out)?,
                }
                put::close(out, start);
            }
        }
        Ok(())
    }
}

impl Type {
    /// The wire type of one value.
    pub(super) fn wire_type(&self) -> WireType {
        match self {
            Self::Scalar(kind) => kind.wire_type(),
            Self::Enum(_) => WireType::Varint,
            Self::Message(_) => WireType::LengthDelimited,
        }
    }
}

impl Values {
    /// The number of the value that `name` names.
    pub(super) fn number(&self, name: &str) -> Plain<i32> {
        match self.names.get(name) {
            Some(number) => Ok(number),
            // By a short name, or in another case.
            None => Ok(text::enum_number(&self.descriptor, name)?),
        }
    }
}

/// Appends a value that is text in a body as well.
pub(super) fn scalar(kind: &Kind, text: &str, out: &mut Vec<u8>) -> Plain<()> {
    match kind {
        Kind::String => put::bytes(text.as_bytes(), out),
        Kind::Bytes => put::bytes(&text::bytes(text)?, out),
        // A negative number takes ten bytes.
        Kind::Int32 => encode_varint(text::integer::<i32>(text)? as u64, out),
        Kind::Int64 => encode_varint(text::integer::<i64>(text)? as u64, out),
        Kind::Uint32 => encode_varint(text::integer::<u32>(text)?.into(), out),
        Kind::Uint64 => encode_varint(text::integer(text)?, out),
        Kind::Sint32 => encode_varint(zigzag(text::integer::<i32>(text)?.into()), out),
        Kind::Sint64 => encode_varint(zigzag(text::integer(text)?), out),
        Kind::Fixed32 => out.extend_from_slice(&text::integer::<u32>(text)?.to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&text::integer::<u64>(text)?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&text::integer::<i32>(text)?.to_le_bytes()),
        Kind::Sfixed64 => out.extend_from_slice(&text::integer::<i64>(text)?.to_le_bytes()),
        Kind::Float => out.extend_from_slice(&text::float(text)?.to_le_bytes()),
        Kind::Double => out.extend_from_slice(&text::double(text)?.to_le_bytes()),
        Kind::Bool | Kind::Enum(_) | Kind::Message(_) => return Err(Unclear),
    }
    Ok(())
}

/// Appends the fields of a message whose form is text.
pub(super) fn known(form: Form, text: &str, out: &mut Vec<u8>) -> Plain<()> {
    let (seconds, nanos) = match form {
        Form::Timestamp => time::parse_timestamp(text).ok_or(Unclear)?,
        Form::Duration => time::parse_duration(text).ok_or(Unclear)?,
        Form::FieldMask => {
            for path in mask::parse(text).ok_or(Unclear)? {
                put::string(1, &path, out);
            }
            return Ok(());
        }
        _ => return Err(Unclear),
    };
    if seconds != 0 {
        encode_key(1, WireType::Varint, out);
        encode_varint(seconds as u64, out);
    }
    if nanos != 0 {
        encode_key(2, WireType::Varint, out);
        encode_varint(nanos as u64, out);
    }
    Ok(())
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
