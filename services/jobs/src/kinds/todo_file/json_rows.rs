//! Rows of a JSON array, one object each. Unknown keys are passed over, so that a page of the API can be imported as well.

use serde_json::value::RawValue;

use super::{FileTodo, Parsed, to_row, wrong};

pub(super) fn write(todo: &FileTodo, first: bool) -> Result<Vec<u8>, String> {
    let mut row = if first { b"\n  ".to_vec() } else { b",\n  ".to_vec() };
    serde_json::to_writer(&mut row, todo).map_err(|error| error.to_string())?;
    Ok(row)
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Parsed>, String> {
    let rows: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|error| format!("no JSON array: {error}"))?;
    let parse = |(index, row): (usize, &RawValue)| {
        let position = index + 1;
        match serde_json::from_str::<FileTodo>(row.get()) {
            Ok(todo) => to_row(position, todo),
            Err(error) => {
                let line = i32::try_from(position).unwrap_or(i32::MAX);
                Err(wrong(line, "", "JSON", &error.to_string()))
            }
        }
    };
    Ok(rows.into_iter().enumerate().map(parse).collect())
}
