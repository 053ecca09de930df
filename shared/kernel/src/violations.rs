//! Fields that break their rules, gathered so that a client learns of all of them at once.

use std::fmt;

use crate::Rule;

/// A field of a request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path from the request message, such as `todo.title`.
    pub field: String,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// The fields of a request that break their rules, one at the least. The request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFields(Vec<Violation>);

impl fmt::Display for InvalidFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "{}: {}", one.field, one.rule),
            many => write!(f, "{} fields break their rules", many.len()),
        }
    }
}

impl std::error::Error for InvalidFields {}

impl IntoIterator for InvalidFields {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Gathers broken rules while a request is parsed: [`Violations::check`] each field, then
/// [`Violations::finish`].
///
/// `check` returns `None` for a broken field; after `finish` succeeded every checked value is
/// `Some`.
#[derive(Debug, Clone, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// No violation yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records the rule that `field` breaks, if it breaks one. `field` is a path from the request
    /// message, such as `todo.title`.
    pub fn check<T>(&mut self, field: impl Into<String>, parsed: Result<T, Rule>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(rule) => {
                self.add(field, rule);
                None
            }
        }
    }

    /// Records that `field` breaks `rule`.
    pub fn add(&mut self, field: impl Into<String>, rule: Rule) {
        self.0.push(Violation {
            field: field.into(),
            rule,
        });
    }

    /// Records every violation of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The error that lists all violations; `Ok` when there are none.
    pub fn finish(self) -> Result<(), InvalidFields> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidFields(self.0))
        }
    }
}

/// The error of one field that breaks one rule.
pub fn one(field: impl Into<String>, rule: Rule) -> InvalidFields {
    InvalidFields(vec![Violation {
        field: field.into(),
        rule,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_broken_fields_are_gathered() {
        let mut violations = Violations::new();
        assert_eq!(violations.check("a", Ok(1)), Some(1));
        assert_eq!(violations.check("b", Err::<(), _>(Rule::required())), None);
        assert_eq!(violations.clone().finish().unwrap_err().to_string(), "b: is required");
        violations.add("c", Rule::new("STRING_UUID", "must be a UUID"));
        let invalid = violations.finish().unwrap_err();
        assert_eq!(invalid.to_string(), "2 fields break their rules");
        let fields: Vec<String> = invalid.into_iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["b", "c"]);
        assert_eq!(Violations::new().finish(), Ok(()));
    }
}
