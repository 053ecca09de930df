//! Files of todos: what exports write, imports read.

mod csv_rows;
mod json_rows;

use std::ops::ControlFlow;

use quartet_proto::jobs::v1 as pb;
use quartet_proto::todos::v1 as todos;
use quartet_rpc::timestamp;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
}

/// A todo as files have it. Times are RFC 3339.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FileTodo {
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) completed: bool,
    pub(super) due_at: Option<String>,
    /// `low`, `medium`, `high`, or nothing.
    pub(super) priority: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) created_at: Option<String>,
    pub(super) completed_at: Option<String>,
}

/// A row to import, or what is wrong with it.
pub(super) type Parsed = Result<todos::ImportRow, pb::RowError>;

impl Format {
    pub(super) fn of(format: pb::FileFormat) -> Self {
        match format {
            pb::FileFormat::Json => Self::Json,
            pb::FileFormat::Csv | pb::FileFormat::Unspecified => Self::Csv,
        }
    }

    pub(super) fn proto(self) -> pb::FileFormat {
        match self {
            Self::Csv => pb::FileFormat::Csv,
            Self::Json => pb::FileFormat::Json,
        }
    }

    /// What stands before the first row.
    pub(super) fn opening(self) -> &'static [u8] {
        match self {
            Self::Csv => csv_rows::HEADER.as_bytes(),
            Self::Json => b"[",
        }
    }

    /// One row.
    pub(super) fn row(self, todo: &FileTodo, first: bool) -> Result<Vec<u8>, String> {
        match self {
            Self::Csv => csv_rows::write(todo),
            Self::Json => json_rows::write(todo, first),
        }
    }

    /// What stands after the last row.
    pub(super) fn closing(self, empty: bool) -> &'static [u8] {
        match self {
            Self::Csv => b"",
            Self::Json if empty => b"]\n",
            Self::Json => b"\n]\n",
        }
    }
}

/// Rows of a file at the most.
const MAX_ROWS: usize = 100_000;
/// Bytes of one row at the most.
const MAX_ROW: usize = 128 * 1_024;
/// Tags of one row that are read at the most; a todo may have fewer.
const MAX_TAGS: usize = 100;

/// How many rows a whole file has. It keeps none of them.
///
/// Errors: a file that is none of its format, or that has too many rows.
pub(super) fn count(format: Format, bytes: &[u8]) -> Result<usize, String> {
    let mut rows = 0;
    let mut counted = || {
        rows += 1;
        match rows <= MAX_ROWS {
            true => Ok(()),
            false => Err(format!("a file may have {MAX_ROWS} rows at the most")),
        }
    };
    match format {
        Format::Csv => csv_rows::each(bytes, |_| counted())?,
        Format::Json => json_rows::each(bytes, |_, _| counted())?,
    }
    Ok(rows)
}

/// Gives `row` the rows of a file one by one, until it wants no more. Each is read when its turn
/// comes, so that a file costs little more memory than its bytes.
pub(super) fn read(format: Format, bytes: &[u8], mut row: impl FnMut(Parsed) -> ControlFlow<()>) -> Result<(), String> {
    /// Ends the walk.
    const ENOUGH: &str = "";
    let mut take = |parsed| match row(parsed) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ENOUGH.to_owned()),
    };
    let walked = match format {
        Format::Csv => csv_rows::each(bytes, |record| take(record.parse())),
        Format::Json => json_rows::each(bytes, |position, json| take(json_rows::parse(position, json))),
    };
    match walked {
        Err(error) if error == ENOUGH => Ok(()),
        walked => walked,
    }
}

impl From<todos::Todo> for FileTodo {
    fn from(todo: todos::Todo) -> Self {
        let text = |timestamp: Option<prost_types::Timestamp>| {
            let time = timestamp::parse(timestamp.as_ref()).ok().flatten()?;
            time.format(&Rfc3339).ok()
        };
        Self {
            priority: priority_name(todo.priority()).map(str::to_owned),
            title: todo.title,
            description: todo.description,
            completed: todo.completed,
            due_at: text(todo.due_at),
            tags: todo.tags.into_iter().map(|tag| tag.name).collect(),
            created_at: text(todo.created_at),
            completed_at: text(todo.completed_at),
        }
    }
}

fn priority_name(priority: todos::Priority) -> Option<&'static str> {
    match priority {
        todos::Priority::Unspecified => None,
        todos::Priority::Low => Some("low"),
        todos::Priority::Medium => Some("medium"),
        todos::Priority::High => Some("high"),
    }
}

/// The row to import; the rules of titles and the like are those of the todos service.
fn to_row(line: usize, todo: FileTodo) -> Parsed {
    let line = i32::try_from(line).unwrap_or(i32::MAX);
    if todo.tags.len() > MAX_TAGS {
        return Err(wrong(line, "tags", "REPEATED_MAX_ITEMS", "has too many tags"));
    }
    let due_at = match todo.due_at.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => match OffsetDateTime::parse(text, &Rfc3339) {
            Ok(time) => Some(timestamp::to_proto(time)),
            Err(_) => {
                return Err(wrong(
                    line,
                    "due_at",
                    "TIMESTAMP",
                    "must be a time such as 2026-01-31T12:00:00Z",
                ));
            }
        },
    };
    let name = todo.priority.unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    let priority = match name.strip_prefix("priority_").unwrap_or(&name) {
        "" | "unspecified" => todos::Priority::Unspecified,
        "low" => todos::Priority::Low,
        "medium" => todos::Priority::Medium,
        "high" => todos::Priority::High,
        _ => return Err(wrong(line, "priority", "STRING_IN", "must be low, medium or high")),
    };
    Ok(todos::ImportRow {
        line,
        title: todo.title,
        description: todo.description,
        completed: todo.completed,
        due_at,
        priority: priority.into(),
        tags: todo.tags,
    })
}

fn wrong(line: i32, field: &str, reason: &str, message: &str) -> pb::RowError {
    pb::RowError {
        line,
        field: field.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows of a file.
    fn read(format: Format, bytes: &[u8]) -> Result<Vec<Parsed>, String> {
        let mut rows = Vec::new();
        let count = count(format, bytes)?;
        super::read(format, bytes, |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        assert_eq!(count, rows.len());
        Ok(rows)
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_compute_is_quoted_and_read_back() {
        for text in [
            "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "'quoted'", "plain", "'", "a=b",
        ] {
            let todo = FileTodo {
                title: text.into(),
                description: Some(text.into()),
                tags: vec![text.trim().into(), "other".into()],
                ..FileTodo::default()
            };
            let file = [Format::Csv.opening(), &Format::Csv.row(&todo, true).unwrap()].concat();
            let mut cells = csv::Reader::from_reader(&file[..]);
            let record = cells.records().next().unwrap().unwrap();
            for cell in &record {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
            }
            let rows = read(Format::Csv, &file).unwrap();
            let row = rows[0].as_ref().unwrap();
            assert_eq!((row.title.as_str(), row.description.as_deref()), (text, Some(text)));
            assert_eq!(row.tags[0], text.trim(), "{text:?}");
        }
    }

    #[test]
    fn a_file_has_so_many_rows_and_a_row_so_many_bytes_and_tags() {
        let zeros = format!("[{}0]", "0,".repeat(MAX_ROWS));
        assert!(
            count(Format::Json, zeros.as_bytes())
                .unwrap_err()
                .contains("100000 rows")
        );
        let lines = format!("title\n{}", "a\n".repeat(MAX_ROWS + 1));
        assert!(
            count(Format::Csv, lines.as_bytes())
                .unwrap_err()
                .contains("100000 rows")
        );

        let long = "x".repeat(MAX_ROW + 1);
        let tags = vec!["\"\""; MAX_TAGS + 1].join(",");
        let json = format!(r#"[{{"title": "{long}"}}, {{"title": "b", "tags": [{tags}]}}, {{"title": "c"}}]"#);
        let csv = format!("title,tags\n{long},\nb,{}\nc,\n", vec!["t"; MAX_TAGS + 1].join(";"));
        for (format, file) in [(Format::Json, json), (Format::Csv, csv)] {
            let rows = read(format, file.as_bytes()).unwrap();
            let reasons: Vec<_> = rows
                .iter()
                .map(|row| row.as_ref().err().map(|error| error.reason.as_str()))
                .collect();
            assert_eq!(
                reasons,
                [Some("ROW_TOO_LONG"), Some("REPEATED_MAX_ITEMS"), None],
                "{format:?}"
            );
        }
    }

    #[test]
    fn random_files_are_read_or_refused_and_cost_no_panic() {
        // A quick look at each change; `make fuzz` looks for longer.
        quartet_testkit::random::rounds(3_000, |random| {
            let mut file = [&b"title,due_at,tags\n"[..], b"[{\"title\":\"", b"[", b""][random.below(4)].to_vec();
            const PARTS: &[&[u8]] = &[
                b"\"",
                b",",
                b";",
                b"\n",
                b"\r\n",
                b"'=",
                b"{",
                b"}",
                b"[",
                b"]",
                b":",
                b"title",
                b"tags",
                b"\\u00",
                b"\xff",
                b"1e999",
                b"null",
                b"due_at",
                b"2026-01-31T12:00:00Z",
                b"\xef\xbb\xbf",
            ];
            for _ in 0..random.below(40) {
                file.extend_from_slice(PARTS[random.below(PARTS.len())]);
            }
            for format in [Format::Csv, Format::Json] {
                if count(format, &file).is_ok() {
                    let _ = read(format, &file);
                }
            }
        });
    }

    fn todo() -> FileTodo {
        FileTodo {
            title: "Купить \"молоко\", хлеб".into(),
            description: Some("two\nlines".into()),
            completed: true,
            due_at: Some("2026-01-31T12:00:00Z".into()),
            priority: Some("high".into()),
            tags: vec!["home; away".into(), "\"quoted\"".into(), "plain".into()],
            created_at: None,
            completed_at: None,
        }
    }

    #[test]
    fn what_an_export_writes_an_import_reads() {
        for format in [Format::Csv, Format::Json] {
            let mut file = format.opening().to_vec();
            file.extend(format.row(&todo(), true).unwrap());
            file.extend(
                format
                    .row(
                        &FileTodo {
                            title: "plain".into(),
                            ..FileTodo::default()
                        },
                        false,
                    )
                    .unwrap(),
            );
            file.extend(format.closing(false));
            let rows = read(format, &file).unwrap();
            let first = rows[0].as_ref().unwrap();
            assert_eq!(
                (first.title.as_str(), first.description.as_deref()),
                (todo().title.as_str(), Some("two\nlines"))
            );
            assert_eq!(
                (first.completed, first.priority(), &first.tags),
                (true, todos::Priority::High, &todo().tags)
            );
            assert_eq!(first.due_at.as_ref().unwrap().seconds, 1_769_860_800);
            let second = rows[1].as_ref().unwrap();
            assert_eq!(
                (second.title.as_str(), second.description.as_deref(), second.tags.len()),
                ("plain", None, 0)
            );
            assert_eq!(rows.len(), 2, "{format:?}");
        }
    }

    #[test]
    fn an_empty_file_has_no_rows() {
        for format in [Format::Csv, Format::Json] {
            let file = [format.opening(), format.closing(true)].concat();
            assert!(read(format, &file).unwrap().is_empty());
        }
    }

    #[test]
    fn a_broken_row_is_named_by_its_line_and_the_others_are_read() {
        let csv = "title,due_at,priority\none,,\ntwo,tomorrow,\n\"th\nree\",,urgent\nfour,,low\n";
        let rows = read(Format::Csv, csv.as_bytes()).unwrap();
        let broken: Vec<_> = rows
            .iter()
            .filter_map(|row| row.as_ref().err())
            .map(|e| (e.line, e.field.as_str()))
            .collect();
        assert_eq!(broken, [(3, "due_at"), (4, "priority")]);
        assert_eq!(rows[3].as_ref().unwrap().line, 6);

        let json = r#"[{"title": "one"}, {"title": 7}, {"title": "three", "priority": "urgent"}, "four",
                       {"title": "five", "id": "x"}]"#;
        let rows = read(Format::Json, json.as_bytes()).unwrap();
        let broken: Vec<_> = rows
            .iter()
            .filter_map(|row| row.as_ref().err())
            .map(|e| e.line)
            .collect();
        assert_eq!((broken, rows.len()), (vec![2, 3, 4], 5));
    }

    #[test]
    fn a_file_of_another_format_is_refused_as_a_whole() {
        assert!(read(Format::Json, b"title\none\n").unwrap_err().contains("line 1"));
        assert!(read(Format::Json, b"{\"title\": \"one\"}").is_err());
        assert!(read(Format::Csv, b"name\none\n").unwrap_err().contains("title"));
    }
}
