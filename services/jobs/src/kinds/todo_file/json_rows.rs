//! Rows of a JSON array, one object each. Unknown keys are passed over, so that a page of the API
//! can be imported as well.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{FileTodo, MAX_ROW, Parsed, to_row, wrong};

pub(super) fn write(todo: &FileTodo, first: bool) -> Result<Vec<u8>, String> {
    let mut row = if first { b"\n  ".to_vec() } else { b",\n  ".to_vec() };
    serde_json::to_writer(&mut row, todo).map_err(|error| error.to_string())?;
    Ok(row)
}

/// Gives `row` the position, from 1, and the text of each row, until it fails.
pub(super) fn each(bytes: &[u8], row: impl FnMut(usize, &str) -> Result<(), String>) -> Result<(), String> {
    let mut rows = Rows { row, failed: None };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let walked = (&mut rows).deserialize(&mut reader).and_then(|()| reader.end());
    match (rows.failed, walked) {
        (Some(failed), _) => Err(failed),
        (None, walked) => walked.map_err(|error| format!("no JSON array: {error}")),
    }
}

/// A row of this position and text.
pub(super) fn parse(position: usize, json: &str) -> Parsed {
    let line = i32::try_from(position).unwrap_or(i32::MAX);
    if json.len() > MAX_ROW {
        return Err(wrong(line, "", "ROW_TOO_LONG", "is too long"));
    }
    match serde_json::from_str::<FileTodo>(json) {
        Ok(todo) => to_row(position, todo),
        Err(error) => Err(wrong(line, "", "JSON", &error.to_string())),
    }
}

/// Walks an array without keeping it.
struct Rows<F> {
    row: F,
    failed: Option<String>,
}

impl<'de, F: FnMut(usize, &str) -> Result<(), String>> DeserializeSeed<'de> for &mut Rows<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(usize, &str) -> Result<(), String>> Visitor<'de> for &mut Rows<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(row) = rows.next_element::<&RawValue>()? {
            position += 1;
            if let Err(failed) = (self.row)(position, row.get()) {
                self.failed = Some(failed);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
