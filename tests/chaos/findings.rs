//! What the checks found: statements with counts, and what contradicts them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Contradictions that are shown of each statement; the rest is counted.
const SHOWN: usize = 12;

/// All statements that were checked.
#[derive(Default)]
pub struct Findings {
    text: String,
    /// How often each statement is contradicted, where it is.
    broken: BTreeMap<String, usize>,
}

impl Findings {
    /// States that something holds for `count` things, unless something contradicts it.
    pub fn hold(&mut self, statement: &str, count: usize, contradictions: &[String]) {
        let sign = if contradictions.is_empty() { "holds" } else { "BROKEN" };
        if !contradictions.is_empty() {
            self.broken.insert(statement.to_owned(), contradictions.len());
        }
        let _ = writeln!(self.text, "  {sign:6} {count:6}  {statement}");
        for contradiction in contradictions.iter().take(SHOWN) {
            let _ = writeln!(self.text, "                 - {contradiction}");
        }
        if let Some(more) = contradictions.len().checked_sub(SHOWN + 1) {
            let _ = writeln!(self.text, "                 - and {} more", more + 1);
        }
    }

    /// As [`Findings::hold`], of things that may not be there.
    pub fn none(&mut self, statement: &str, things: &[String]) {
        self.hold(statement, things.len(), things);
    }

    /// Whether no statement is contradicted.
    pub fn all_hold(&self) -> bool {
        self.broken.is_empty()
    }

    /// How often a statement is contradicted.
    pub fn contradictions(&self, statement: &str) -> usize {
        self.broken.get(statement).copied().unwrap_or_default()
    }

    /// The statements, a line each.
    pub fn text(&self) -> &str {
        &self.text
    }
}
