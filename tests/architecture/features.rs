//! The table of features, and the page that is written from it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::root;

/// How many features the templates state.
const ROWS: u32 = 124;
/// Where a feature may stand.
const STATES: [&str; 4] = ["done", "replaced", "later", "not taken"];

struct Row {
    number: u32,
    what: &'static str,
    state: &'static str,
    how: &'static str,
    tests: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("features/table.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [number, what, state, how, tests] = cells[..] else {
                panic!("{line:?} has not five cells");
            };
            Row {
                number: number.parse().unwrap_or_else(|_| panic!("{line:?} has no number")),
                what,
                state,
                how,
                tests: tests.split(", ").filter(|test| !test.is_empty()).collect(),
            }
        })
        .collect()
}

/// The page as the table has it.
fn page() -> String {
    let mut page = String::from(
        "# Features\n\n\
         What the five FastAPI templates state that Quartet takes the place of, and where each of it stands here,\n\
         with its test. `make features` writes this page from `tests/architecture/features/table.txt`.\n\n\
         | | feature | state | how | tests |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in rows() {
        let tests: Vec<String> = row
            .tests
            .iter()
            .map(|test| match test.split_once("::") {
                Some((file, function)) => format!("[`{function}`](../{file})"),
                None => format!("[`{test}`](../{test})"),
            })
            .collect();
        let Row {
            number,
            what,
            state,
            how,
            ..
        } = row;
        let _ = writeln!(page, "| {number} | {what} | {state} | {how} | {} |", tests.join(" "));
    }
    page
}

#[test]
fn every_feature_has_a_row_and_every_row_a_test_or_a_reason() {
    let rows = rows();
    let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    for Row {
        number,
        state,
        how,
        tests,
        ..
    } in &rows
    {
        assert!(STATES.contains(state), "row {number} is {state:?}");
        assert!(!how.is_empty(), "row {number} does not say how");
        let is_there = ["done", "replaced"].contains(state);
        assert!(!is_there || !tests.is_empty(), "row {number} has no test");
    }
}

#[test]
fn every_test_of_the_table_exists() {
    let mut missing = BTreeSet::new();
    for test in rows().into_iter().flat_map(|row| row.tests) {
        let (file, function) = test.split_once("::").unwrap_or((test, ""));
        let source = fs::read_to_string(root().join(file)).unwrap_or_default();
        let is_there = !source.is_empty() && (function.is_empty() || is_test(&source, &root().join(file), function));
        if !is_there {
            missing.insert(test);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Whether the function runs as a test: it has the attribute of one, or a macro lists it, in its file or
/// in the one that it is a module of.
fn is_test(source: &str, file: &Path, function: &str) -> bool {
    let Some(at) = source.find(&format!("fn {function}(")) else {
        return false;
    };
    let before = source[..at].trim_end().lines().rev();
    let attributes = before.take_while(|line| !line.trim().is_empty() && line.trim() != "}");
    if attributes
        .into_iter()
        .any(|line| line.trim().starts_with("#[test]") || line.contains("tokio::test"))
    {
        return true;
    }
    let is_listed = |source: &str| {
        let words = source.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.filter(|word| *word == function).count() > 1
    };
    let parent = file.parent().map(|folder| folder.with_extension("rs"));
    is_listed(source)
        || parent
            .is_some_and(|parent| is_listed(&format!("{}{function}", fs::read_to_string(parent).unwrap_or_default())))
}

#[test]
fn every_setting_of_the_table_exists() {
    let example = fs::read_to_string(root().join(".env.example")).expect("the example file is there");
    let table = include_str!("features/table.txt");
    for name in table.split('`').skip(1).step_by(2) {
        let is_setting = name.contains('_') && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        assert!(!is_setting || example.contains(&format!("#{name}=")), "{name}");
    }
}

/// `make features` sets this.
const WRITE: &str = "WRITE_FEATURES";

#[test]
fn the_page_is_that_of_the_table() {
    let path = root().join("docs/features.md");
    let writes = std::env::var_os(WRITE).is_some();
    if writes {
        fs::write(&path, page()).expect("docs/features.md is written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/features.md is old: make features");
}
