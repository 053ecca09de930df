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
pub struct InvalidFields {
    violations: Vec<Violation>,
    omitted: usize,
}

impl InvalidFields {
    /// How many more violations there are than those that are listed.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl fmt::Display for InvalidFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.violations.as_slice() {
            [one] => write!(f, "{}: {}", one.field, one.rule),
            many => write!(f, "{} fields break their rules", many.len() + self.omitted),
        }
    }
}

impl std::error::Error for InvalidFields {}

impl IntoIterator for InvalidFields {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.violations.into_iter()
    }
}

/// Gathers broken rules while a request is parsed: [`Violations::check`] each field, then
/// [`Violations::finish`].
///
/// `check` returns `None` for a broken field; after `finish` succeeded every checked value is
/// `Some`. [`MAX_LISTED`] of them are kept; the rest is counted, so that a request of a thousand
/// mistakes costs what one of a hundred does.
#[derive(Debug, Clone, Default)]
pub struct Violations {
    listed: Vec<Violation>,
    omitted: usize,
}

/// Violations that are listed of one request at the most.
pub const MAX_LISTED: usize = 100;

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
        if self.listed.len() == MAX_LISTED {
            self.omitted += 1;
            return;
        }
        self.listed.push(Violation {
            field: field.into(),
            rule,
        });
    }

    /// Records every violation of `others`.
    pub fn extend(&mut self, others: Self) {
        self.omitted += others.omitted;
        for violation in others.listed {
            self.add(violation.field, violation.rule);
        }
    }

    /// The error that lists all violations; `Ok` when there are none.
    pub fn finish(self) -> Result<(), InvalidFields> {
        if self.listed.is_empty() {
            return Ok(());
        }
        Err(InvalidFields {
            violations: self.listed,
            omitted: self.omitted,
        })
    }
}

/// The error of one field that breaks one rule.
pub fn one(field: impl Into<String>, rule: Rule) -> InvalidFields {
    InvalidFields {
        violations: vec![Violation {
            field: field.into(),
            rule,
        }],
        omitted: 0,
    }
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

    #[test]
    fn violations_past_the_bound_are_counted() {
        let mut violations = Violations::new();
        for number in 0..250 {
            violations.add(format!("ids[{number}]"), Rule::required());
        }
        let mut both = Violations::new();
        both.add("name", Rule::required());
        both.extend(violations);
        let invalid = both.finish().unwrap_err();
        assert_eq!(invalid.omitted(), 151);
        assert_eq!(invalid.to_string(), "251 fields break their rules");
        assert_eq!(invalid.into_iter().count(), MAX_LISTED);
    }
}
