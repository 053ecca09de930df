//! Files of todos: what exports write, imports read.

mod csv_rows;
mod json_rows;

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

/// The rows of a whole file; the error is for a file that is none of its format.
pub(super) fn read(format: Format, bytes: &[u8]) -> Result<Vec<Parsed>, String> {
    match format {
        Format::Csv => csv_rows::read(bytes),
        Format::Json => json_rows::read(bytes),
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
