//! The results of the checkers: invariants with counts, and their violations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Violations of an invariant that are printed; the rest is counted.
const MAX_PRINTED: usize = 12;

/// The invariants that were checked.
#[derive(Default)]
pub struct Results {
    text: String,
    /// The number of violations, by invariant.
    violations: BTreeMap<String, usize>,
}

impl Results {
    /// Adds an invariant that was checked for `count` things.
    pub fn add(&mut self, invariant: &str, count: usize, violations: &[String]) {
        let verdict = if violations.is_empty() { "ok" } else { "VIOLATED" };
        if !violations.is_empty() {
            self.violations.insert(invariant.to_owned(), violations.len());
        }
        let _ = writeln!(self.text, "  {verdict:8} {count:6}  {invariant}");
        for violation in violations.iter().take(MAX_PRINTED) {
            let _ = writeln!(self.text, "                   - {violation}");
        }
        if let Some(more) = violations.len().checked_sub(MAX_PRINTED + 1) {
            let _ = writeln!(self.text, "                   - and {} more", more + 1);
        }
    }

    /// Adds an invariant of things that must not exist: each one is a violation.
    pub fn add_none(&mut self, invariant: &str, violations: &[String]) {
        self.add(invariant, violations.len(), violations);
    }

    /// Whether no invariant is violated.
    pub fn valid(&self) -> bool {
        self.violations.is_empty()
    }

    /// The number of violations of an invariant.
    pub fn violations(&self, invariant: &str) -> usize {
        self.violations.get(invariant).copied().unwrap_or_default()
    }

    /// The invariants, a line each, with their violations.
    pub fn text(&self) -> &str {
        &self.text
    }
}
