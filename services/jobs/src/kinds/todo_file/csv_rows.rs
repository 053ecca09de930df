//! Rows of a CSV file (RFC 4180) with a header line. Tags share a cell, separated by semicolons and
//! quoted in the same way.
//!
//! A cell that a spreadsheet would take for a formula is written with an apostrophe before it (OWASP,
//! "CSV Injection"), which is taken away when it is read.

use std::collections::HashMap;

use super::{FileTodo, MAX_ROW, MAX_TAGS, Parsed, to_row, wrong};

/// The header line that exports write.
pub(super) const HEADER: &str = "title,description,completed,due_at,priority,tags,created_at,completed_at\r\n";

pub(super) fn write(todo: &FileTodo) -> Result<Vec<u8>, String> {
    let empty = String::new();
    let tags = line(b';', csv::Terminator::Any(b'\n'), &todo.tags)?;
    let tags = String::from_utf8_lossy(&tags).trim_end_matches('\n').to_owned();
    let tags = if todo.tags.is_empty() { String::new() } else { tags };
    let title = as_text(&todo.title);
    let description = as_text(todo.description.as_ref().unwrap_or(&empty));
    let tags = as_text(&tags);
    let cells = [
        &title,
        &description,
        &todo.completed.to_string(),
        todo.due_at.as_ref().unwrap_or(&empty),
        todo.priority.as_ref().unwrap_or(&empty),
        &tags,
        todo.created_at.as_ref().unwrap_or(&empty),
        todo.completed_at.as_ref().unwrap_or(&empty),
    ];
    line(b',', csv::Terminator::CRLF, cells)
}

fn line<T: AsRef<[u8]>>(
    delimiter: u8,
    terminator: csv::Terminator,
    cells: impl IntoIterator<Item = T>,
) -> Result<Vec<u8>, String> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(terminator)
        .from_writer(Vec::new());
    writer.write_record(cells).map_err(|error| error.to_string())?;
    writer.into_inner().map_err(|error| error.to_string())
}

/// Columns of a file at the most.
const MAX_COLUMNS: usize = 1_000;

/// What makes a cell a formula when it stands first.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Whether `text` is a formula, with or without apostrophes before it.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULA)
}

/// A cell that no spreadsheet computes.
fn as_text(text: &str) -> String {
    match is_formula(text) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// Undoes [`as_text`].
fn as_written(mut text: String) -> String {
    if text.starts_with('\'') && is_formula(&text) {
        text.remove(0);
    }
    text
}

/// A row that is not read yet.
pub(super) struct Record<'a> {
    record: &'a csv::ByteRecord,
    columns: &'a HashMap<String, usize>,
}

impl Record<'_> {
    /// Reads the row.
    pub(super) fn parse(&self) -> Parsed {
        let line = self.record.position().map_or(0, csv::Position::line) as usize;
        row(line, self.record, self.columns)
    }
}

/// Gives `take` each row, until it fails.
pub(super) fn each(bytes: &[u8], mut take: impl FnMut(&Record<'_>) -> Result<(), String>) -> Result<(), String> {
    // Spreadsheets put a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().map_err(|error| error.to_string())?;
    if header.len() > MAX_COLUMNS {
        return Err(format!("the header line names more than {MAX_COLUMNS} columns"));
    }
    let columns: HashMap<String, usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| (name.trim().to_ascii_lowercase(), column))
        .collect();
    if !columns.contains_key("title") {
        return Err("the header line names no column `title`".into());
    }
    let mut record = csv::ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| error.to_string())?
    {
        take(&Record {
            record: &record,
            columns: &columns,
        })?;
    }
    Ok(())
}

fn row(line: usize, record: &csv::ByteRecord, columns: &HashMap<String, usize>) -> Parsed {
    let number = i32::try_from(line).unwrap_or(i32::MAX);
    if record.as_slice().len() > MAX_ROW {
        return Err(wrong(number, "", "ROW_TOO_LONG", "is too long"));
    }
    let cell = |name: &str| -> Result<String, _> {
        let bytes = columns
            .get(name)
            .and_then(|column| record.get(*column))
            .unwrap_or_default();
        String::from_utf8(bytes.to_vec()).map_err(|_| wrong(number, name, "UTF8", "must be in UTF-8"))
    };
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let completed = match cell("completed")?.trim().to_ascii_lowercase().as_str() {
        "" | "false" | "no" | "0" => false,
        "true" | "yes" | "1" => true,
        _ => return Err(wrong(number, "completed", "STRING_IN", "must be true or false")),
    };
    let todo = FileTodo {
        title: as_written(cell("title")?),
        description: filled(as_written(cell("description")?)),
        completed,
        due_at: filled(cell("due_at")?),
        priority: filled(cell("priority")?),
        tags: tags(&as_written(cell("tags")?)),
        created_at: None,
        completed_at: None,
    };
    to_row(line, todo)
}

fn tags(cell: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b';')
        .has_headers(false)
        .flexible(true)
        .from_reader(cell.as_bytes());
    let records = reader.records().filter_map(Result::ok);
    // One more than a row may have, by which it is refused.
    let tags = records.flat_map(|record| record.iter().map(|tag| tag.trim().to_owned()).collect::<Vec<_>>());
    tags.filter(|tag| !tag.is_empty()).take(MAX_TAGS + 1).collect()
}
