//! Checking what is not written: a decoder would refuse it as well.

use prost::encoding::WireType;

use super::MAX_DEPTH;
use super::accept::pass_unknown;
use super::cursor::{Cursor, Malformed, Read, utf8};
use super::plan::{Field, Kind, Plan, Shape};
use super::slot::Slot;

/// Checks the message at `index` of the plan, which is nested `level` deep.
pub(super) fn message(plan: &Plan, index: usize, bytes: &[u8], level: u32) -> Read<()> {
    if level > MAX_DEPTH {
        return Err(Malformed::Depth);
    }
    let message = &plan.messages[index];
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        let (number, wire) = cursor.key()?;
        match message.find(number) {
            Some(index) => value(plan, &message.fields[index], wire, &mut cursor, level)?,
            None => pass_unknown(message, &mut cursor, number, wire, level)?,
        }
    }
    Ok(())
}

/// Checks what stands in a slot of a message that is nested `level` deep.
pub(super) fn slot(plan: &Plan, field: &Field, bytes: &[u8], slot: Slot, level: u32) -> Read<()> {
    if slot.count == 0 {
        return Ok(());
    }
    let mut cursor = Cursor::between(bytes, slot.from, slot.to);
    match (&field.kind, field.shape) {
        (Kind::Message(_), _) | (_, Shape::List | Shape::PackableList) => {
            while let Some(wire) = cursor.next_of(field.number)? {
                value(plan, field, wire, &mut cursor, level)?;
            }
            Ok(())
        }
        _ => value(plan, field, field.wire, &mut cursor, level),
    }
}

/// Checks one value, after its key.
fn value(plan: &Plan, field: &Field, wire: WireType, cursor: &mut Cursor<'_>, level: u32) -> Read<()> {
    field.accept(wire)?;
    if field.is_packed(wire) {
        let mut values = Cursor::new(cursor.delimited()?);
        while !values.is_at_end() {
            values.pass(field.wire)?;
        }
        return Ok(());
    }
    match &field.kind {
        Kind::String => utf8(cursor.delimited()?).map(|_| ()),
        Kind::Message(index) => {
            let inner = level + u32::from(!plan.messages[*index].is_entry);
            message(plan, *index, cursor.delimited()?, inner)
        }
        _ => cursor.pass(wire),
    }
}
