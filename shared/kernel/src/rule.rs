//! A rule that a value breaks.

/// A rule that a value breaks: its name for programs and its text for people. The error type of
/// domain parsers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Rule {
    /// Name in upper case, such as `STRING_MAX_LEN`: the rule's id in `buf.validate`, where it has
    /// one.
    pub name: &'static str,
    /// The rule in English, such as `must be at most 100 characters`.
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
