//! Reading single fields of a message that is known to be well-formed.

use prost_reflect::FieldDescriptor;

use super::cursor::{Cursor, Read};
use prost::encoding::WireType;

/// A value as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The last occurrence of a field in a message.
enum Occurrence<'b> {
    Nothing,
    /// Another field of its oneof is set.
    Cleared,
    Value(Found<'b>),
}

/// The value of the field at the end of `chain`, each field of which is a single one; `None` when it
/// is unset.
pub(crate) fn find<'b>(bytes: &'b [u8], chain: &[FieldDescriptor]) -> Option<Found<'b>> {
    match last_occurrence(bytes, chain) {
        Ok(Occurrence::Value(value)) => Some(value),
        _ => None,
    }
}

/// The same of one field.
pub(crate) fn last<'b>(bytes: &'b [u8], field: &FieldDescriptor) -> Option<Found<'b>> {
    find(bytes, std::slice::from_ref(field))
}

fn last_occurrence<'b>(bytes: &'b [u8], chain: &[FieldDescriptor]) -> Read<Occurrence<'b>> {
    let mut latest = Occurrence::Nothing;
    let Some((field, rest)) = chain.split_first() else {
        return Ok(latest);
    };
    let number = field.number();
    let oneof = field.containing_oneof().filter(|oneof| oneof.fields().len() > 1);
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        let (found, wire) = cursor.key()?;
        if found != number {
            cursor.pass_unknown(found, wire, 0)?;
            let is_rival = |oneof: &prost_reflect::OneofDescriptor| oneof.fields().any(|field| field.number() == found);
            if oneof.as_ref().is_some_and(is_rival) {
                latest = Occurrence::Cleared;
            }
            continue;
        }
        let value = match wire {
            WireType::Varint => Found::Number(cursor.varint()?),
            WireType::SixtyFourBit => Found::Number(cursor.fixed64()?),
            WireType::ThirtyTwoBit => Found::Number(cursor.fixed32()?.into()),
            _ => Found::Bytes(cursor.delimited()?),
        };
        match value {
            Found::Bytes(inner) if !rest.is_empty() => match last_occurrence(inner, rest)? {
                Occurrence::Nothing => {}
                occurrence => latest = occurrence,
            },
            value => latest = Occurrence::Value(value),
        }
    }
    Ok(latest)
}
