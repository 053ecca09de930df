//! The format of an import file. Rows stay raw, so that each fails alone and its line can be
//! reported.

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

/// The lists of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lists<'a> {
    #[serde(borrow, default)]
    pub(super) users: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) tags: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) todos: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) username: String,
    pub(super) email: String,
    pub(super) name: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_hash: Option<String>,
    pub(super) role: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    pub(super) user: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Todo {
    pub(super) user: String,
    pub(super) title: String,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) completed: bool,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) due_at: Option<OffsetDateTime>,
    pub(super) priority: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

/// The line of `text`, from 1, on which its part `row` begins.
pub(super) fn line_of(text: &str, row: &RawValue) -> usize {
    let offset = (row.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_row_is_found() {
        let text = "{\"tags\": [\n  {\"user\": \"a\",\n \"name\": \"x\"},\n  7\n]}";
        let lists: Lists<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(
            lists.tags.iter().map(|row| line_of(text, row)).collect::<Vec<_>>(),
            [2, 4]
        );
    }
}
