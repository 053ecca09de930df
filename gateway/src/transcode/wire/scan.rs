//! Where the fields of a message are.

use super::accept::pass_unknown;
use super::check;
use super::cursor::{Cursor, Read, utf8};
use super::plan::{Kind, Message, Plan, Shape};
use super::slot::Slot;

/// Fills the slots of a message that is nested `level` deep. What its fields hold is checked only
/// where another value takes its place.
pub(super) fn scan(plan: &Plan, message: &Message, bytes: &[u8], level: u32, slots: &mut [Slot]) -> Read<()> {
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        let key = cursor.at;
        let (number, wire) = cursor.key()?;
        let Some(index) = message.find(number) else {
            pass_unknown(message, &mut cursor, number, wire, level)?;
            continue;
        };
        let field = &message.fields[index];
        let value = cursor.at;
        cursor.pass(field.accept(wire)?)?;
        for rival in &field.rivals {
            let slot = std::mem::replace(&mut slots[*rival], Slot::EMPTY);
            check::slot(plan, &message.fields[*rival], bytes, slot, level)?;
        }
        let slot = &mut slots[index];
        let is_scalar = field.shape == Shape::Single && !matches!(field.kind, Kind::Message(_));
        if is_scalar {
            if slot.count > 0 && matches!(field.kind, Kind::String) {
                utf8(Cursor::between(bytes, slot.from, slot.to).delimited()?)?;
            }
            *slot = Slot {
                count: 1,
                from: value,
                to: cursor.at,
            };
        } else {
            if slot.count == 0 {
                slot.from = key;
            }
            slot.count += 1;
            slot.to = cursor.at;
        }
    }
    Ok(())
}
