//! The tests that docs/security.md names for each clause are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::{root, sources};

/// The last cells of the tables of clauses: where the tests are named.
fn cells(page: &str) -> Vec<&str> {
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | "))
        .map(|(_, cell)| cell)
        .collect()
}

/// What stands in back quotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The functions of all sources.
fn functions() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["shared", "services", "gateway", "tests", "deploy/suite"] {
        sources(&root().join(folder), &mut files);
    }
    let mut found = BTreeSet::new();
    for file in files {
        let source = fs::read_to_string(file).expect("a source");
        for rest in source.split("fn ").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            found.insert(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
    found
}

#[test]
fn every_test_that_the_page_about_security_names_is_there() {
    let page = fs::read_to_string(root().join("docs/security.md")).expect("the page");
    // The table of the threat model names no tests.
    let (_, clauses) = page.split_once("## OWASP ASVS").expect("the clauses");
    let functions = functions();
    let mut named = 0;
    for cell in cells(clauses) {
        for name in quoted(cell) {
            named += 1;
            assert!(
                functions.contains(name),
                "docs/security.md names `{name}`, which is no function"
            );
        }
    }
    assert!(named > 60, "only {named} tests were read");
}

#[test]
fn every_clause_without_a_test_gives_a_reason() {
    let page = fs::read_to_string(root().join("docs/security.md")).expect("the page");
    let (_, clauses) = page.split_once("## OWASP ASVS").expect("the clauses");
    for row in clauses
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
    {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(
            cells[1].len() > 8 || cells[1] == "where" || cells[2] != "–",
            "no reason: {row}"
        );
    }
}

/// How many clauses of Levels 1 and 2 each section of ASVS 5.0.0 has; they are numbered from 1.
const SECTIONS: [(&str, u32); 39] = [
    ("4.1", 3),
    ("4.2", 1),
    ("4.3", 2),
    ("4.4", 4),
    ("6.1", 3),
    ("6.2", 12),
    ("6.3", 4),
    ("6.4", 4),
    ("6.5", 5),
    ("6.6", 3),
    ("6.8", 4),
    ("7.1", 3),
    ("7.2", 4),
    ("7.3", 2),
    ("7.4", 5),
    ("7.5", 2),
    ("7.6", 2),
    ("8.1", 2),
    ("8.2", 3),
    ("8.3", 1),
    ("8.4", 1),
    ("9.1", 3),
    ("9.2", 4),
    ("10.1", 2),
    ("10.2", 2),
    ("10.3", 4),
    ("10.4", 11),
    ("10.5", 5),
    ("10.6", 2),
    ("10.7", 3),
    ("13.1", 1),
    ("13.2", 5),
    ("13.3", 2),
    ("13.4", 5),
    ("16.1", 1),
    ("16.2", 5),
    ("16.3", 4),
    ("16.4", 3),
    ("16.5", 3),
];

/// Where a clause stands; the worst counts where it has several rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    NotApplicable,
    Tested,
    Read,
    Partly,
    NotMet,
}

/// The clauses that the first cell of a row names: `6.1.2, 6.2.11 words`, `6.5.2–6.5.4 codes`, `4.3
/// GraphQL` for a whole section, `10.5–10.7` for several.
fn clauses(cell: &str) -> Vec<String> {
    let of = |section: &str| {
        let known = SECTIONS.iter().find(|(name, _)| *name == section);
        let (_, count) = known.unwrap_or_else(|| panic!("{cell}: there is no section {section}"));
        (1..=*count)
            .map(|number| format!("{section}.{number}"))
            .collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for part in cell.split(", ") {
        let word = part.split(' ').next().unwrap_or_default();
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        let (first, last) = word.split_once('–').unwrap_or((word, word));
        let split = |name: &str| {
            let (above, number) = name.rsplit_once('.').expect("a number with a dot");
            (above.to_owned(), number.parse::<u32>().expect("a number"))
        };
        let ((above, from), (_, to)) = (split(first), split(last));
        for number in from..=to {
            let name = format!("{above}.{number}");
            match above.contains('.') {
                true => found.push(name),
                false => found.extend(of(&name)),
            }
        }
        // The title follows.
        if part.contains(' ') {
            break;
        }
    }
    found
}

#[test]
fn every_clause_of_the_chapters_has_a_row_and_the_page_counts_them() {
    let page = fs::read_to_string(root().join("docs/security.md")).expect("the page");
    let (_, tables) = page.split_once("## OWASP ASVS").expect("the clauses");
    let (tables, _) = tables.split_once("## Clauses of RFCs").expect("the other clauses");
    let mut standings: BTreeMap<String, Standing> = BTreeMap::new();
    for row in tables.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let (where_, lower) = (cells[1], cells[1].to_lowercase());
        let standing = if where_.starts_with("not applicable: ") {
            Standing::NotApplicable
        } else if lower.contains("**not met**") {
            Standing::NotMet
        } else if lower.contains("**partly met**") {
            Standing::Partly
        } else if cells[2].contains('`') {
            Standing::Tested
        } else {
            Standing::Read
        };
        for clause in clauses(cells[0]) {
            let known = standings.entry(clause).or_insert(standing);
            *known = (*known).max(standing);
        }
    }
    let expected = SECTIONS
        .iter()
        .flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}.{n}")));
    let expected: BTreeSet<String> = expected.collect();
    let found: BTreeSet<String> = standings.keys().cloned().collect();
    let missing: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(
        missing.is_empty(),
        "no row, or no clause of Levels 1 and 2: {missing:?}"
    );
    let count = |wanted| standings.values().filter(|standing| **standing == wanted).count();
    let counts = format!(
        "{} clauses apply: {} are met with a test, {} are met and read, {} are met in part, and {} are not met.",
        expected.len() - count(Standing::NotApplicable),
        count(Standing::Tested),
        count(Standing::Read),
        count(Standing::Partly),
        count(Standing::NotMet),
    );
    assert!(page.contains(&counts), "the page has other counts than these: {counts}");
}
