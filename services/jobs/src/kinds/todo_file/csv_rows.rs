//! Rows of a CSV file (RFC 4180) with a header line. Tags share a cell, separated by semicolons and
//! quoted in the same way.

use std::collections::HashMap;

use super::{FileTodo, Parsed, to_row, wrong};

/// The header line that exports write.
pub(super) const HEADER: &str = "title,description,completed,due_at,priority,tags,created_at,completed_at\r\n";

pub(super) fn write(todo: &FileTodo) -> Result<Vec<u8>, String> {
    let empty = String::new();
    let tags = line(b';', csv::Terminator::Any(b'\n'), &todo.tags)?;
    let tags = String::from_utf8_lossy(&tags).trim_end_matches('\n').to_owned();
    let tags = if todo.tags.is_empty() { String::new() } else { tags };
    let cells = [
        &todo.title,
        todo.description.as_ref().unwrap_or(&empty),
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

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Parsed>, String> {
    // Spreadsheets put a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().map_err(|error| error.to_string())?;
    let columns: HashMap<String, usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| (name.trim().to_ascii_lowercase(), column))
        .collect();
    if !columns.contains_key("title") {
        return Err("the header line names no column `title`".into());
    }
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line) as usize;
                rows.push(row(line, &record, &columns));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(rows)
}

fn row(line: usize, record: &csv::ByteRecord, columns: &HashMap<String, usize>) -> Parsed {
    let number = i32::try_from(line).unwrap_or(i32::MAX);
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
        title: cell("title")?,
        description: filled(cell("description")?),
        completed,
        due_at: filled(cell("due_at")?),
        priority: filled(cell("priority")?),
        tags: tags(&cell("tags")?),
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
    let tags = records.flat_map(|record| record.iter().map(|tag| tag.trim().to_owned()).collect::<Vec<_>>());
    tags.filter(|tag| !tag.is_empty()).collect()
}
