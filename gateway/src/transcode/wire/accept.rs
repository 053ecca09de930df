//! Which values a message may have: those of its fields' wire types, and unknown ones.

use prost::encoding::WireType;

use super::cursor::{Cursor, Malformed, Read};
use super::plan::{Field, Message, Shape};

/// Passes a field that `message` does not have.
pub(super) fn pass_unknown(
    message: &Message,
    cursor: &mut Cursor<'_>,
    number: u32,
    wire: WireType,
    level: u32,
) -> Read<()> {
    if message.is_entry {
        cursor.pass_unknown_of_entry(number, wire, level)
    } else {
        cursor.pass_unknown(number, wire, level)
    }
}

impl Field {
    /// The wire type of a value, if the field can have it.
    #[inline]
    pub(super) fn accept(&self, wire: WireType) -> Read<WireType> {
        if wire == self.wire || self.is_packed(wire) {
            Ok(wire)
        } else if self.shape == Shape::Map {
            Err(Malformed::MapWireType)
        } else {
            Err(Malformed::WireType)
        }
    }

    /// Whether a value of that wire type is many.
    #[inline]
    pub(super) fn is_packed(&self, wire: WireType) -> bool {
        self.shape == Shape::PackableList && wire == WireType::LengthDelimited
    }
}
