//! Fields that break their rules, gathered so that a client learns of all of them at once.

pub mod email;
pub mod text;
pub mod url;
pub mod username;

use tonic_types::FieldViolation;
use uuid::Uuid;

use crate::Failure;

/// A rule that a value breaks: its name for programs and its text for people. The error type of domain parsers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Rule {
    /// Name in upper case, as `STRING_MAX_LEN`: the rule's id in `buf.validate`, where it has one.
    pub name: &'static str,
    /// The rule in English, as `must be at most 100 characters`.
    pub text: String,
}

impl Rule {
    /// A rule by name and text.
    pub fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            text: text.into(),
        }
    }

    /// A value that must be there is missing.
    pub fn required() -> Self {
        Self::new("REQUIRED", "is required")
    }
}

/// Gathers broken rules while a request is parsed: [`Violations::check`] each field, then [`Violations::finish`].
///
/// `check` answers `None` for a broken field; after `finish` succeeded every checked value is `Some`.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// No violation yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the rule that `field` breaks, if it breaks one. `field` is a path from the request message, as `todo.title`.
    pub fn check<T>(&mut self, field: impl Into<String>, parsed: Result<T, Rule>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(rule) => {
                self.add(field, rule);
                None
            }
        }
    }

    /// Notes that `field` breaks `rule`.
    pub fn add(&mut self, field: impl Into<String>, rule: Rule) {
        self.0.push(FieldViolation {
            field: field.into(),
            description: rule.text,
            reason: rule.name.to_owned(),
            localized_message: None,
        });
    }

    /// Notes every violation of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The broken fields themselves, for an answer that is no failure.
    pub fn into_fields(self) -> Vec<FieldViolation> {
        self.0
    }

    /// The answer that lists all violations; `Ok` when there are none.
    pub fn finish(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::invalid(self.0))
        }
    }
}

/// The answer for one field that breaks one rule.
pub fn one(field: impl Into<String>, rule: Rule) -> Failure {
    let mut violations = Violations::new();
    violations.add(field, rule);
    Failure::invalid(violations.0)
}

/// Parses an id; empty is "required".
pub fn uuid(text: &str) -> Result<Uuid, Rule> {
    if text.is_empty() {
        return Err(Rule::required());
    }
    // Only the hyphenated form: the other spellings that the parser knows would name one thing in several ways.
    let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(text)
        .ok()
        .filter(|_| hyphenated)
        .ok_or_else(|| Rule::new("STRING_UUID", "must be a UUID"))
}
