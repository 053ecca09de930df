//! The table of what every RPC takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const TEXT: &str = include_str!("table.txt");

/// Which number of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Round trips to PostgreSQL.
    Postgres,
    /// Statements on SQLite.
    Sqlite,
}

/// The table: a line per scenario, with a number per database.
pub(crate) struct Table(BTreeMap<&'static str, [usize; 2]>);

impl Table {
    /// The table in the repository.
    pub(crate) fn read() -> Self {
        let mut lines = BTreeMap::new();
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut parts = line.rsplitn(3, char::is_whitespace).filter(|part| !part.is_empty());
            let parsed = line.rsplit_once(char::is_whitespace).and_then(|(rest, sqlite)| {
                let (name, postgres) = rest.trim_end().rsplit_once(char::is_whitespace)?;
                Some((name.trim_end(), [postgres.parse().ok()?, sqlite.parse().ok()?]))
            });
            let (name, counts) = parsed.unwrap_or_else(|| panic!("{line:?} is no name and two numbers"));
            assert!(
                parts.next().is_some() && lines.insert(name, counts).is_none(),
                "{name} has two lines"
            );
        }
        Self(lines)
    }

    /// The names of its lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Fails when a scenario took more or less than its line says, with the statements that were
    /// counted.
    pub(crate) fn check(&self, column: Column, counted: &BTreeMap<&str, Vec<String>>) {
        let mut wrong = String::new();
        for (line, statements) in counted {
            let expected = self.0.get(line).map(|counts| counts[column as usize]);
            let advice = match expected {
                Some(expected) if expected == statements.len() => continue,
                Some(expected) if expected < statements.len() => format!("it grew from {expected}"),
                Some(expected) => format!("lower its line in tests/statements/table.txt, which has {expected}"),
                None => "add a line to tests/statements/table.txt".to_owned(),
            };
            let _ = writeln!(wrong, "{line} takes {} ({column:?}): {advice}", statements.len());
            for statement in statements {
                let _ = writeln!(
                    wrong,
                    "    {}",
                    statement.split_whitespace().collect::<Vec<_>>().join(" ")
                );
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }
}
