//! Settings: where they come from, what they may be, and how they are documented.
//!
//! [`Source`] merges the layers; [`settings!`] declares a struct of settings, each with its name,
//! type, default and comment, and generates the reading, `quartet config` and `.env.example` from
//! them; [`value`] has the types that a setting may have.

pub mod example;
pub mod foreign;
mod macros;
mod source;
pub mod value;

pub use source::{Environment, Source};
pub use value::Secret;

/// The declaration of a setting; [`settings!`] generates it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The variable's name, such as `AUTH_ACCESS_TOKEN_TTL`.
    pub name: &'static str,
    /// The default, as it would stand in a file; `None` when the setting is optional and unset by
    /// default.
    pub default: Option<&'static str>,
    /// The doc comment, a line per element.
    pub doc: &'static [&'static str],
    /// Whether the value is hidden when settings are printed.
    pub secret: bool,
}

/// An invalid setting: one line that names the variable and what it expects.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The value does not parse.
    #[error("{name}: {rule} (it is set to `{shown}` by {origin})")]
    Invalid {
        /// The variable.
        name: String,
        /// The value, or `…` when it is secret.
        shown: String,
        /// The layer that set it.
        origin: String,
        /// What it expects.
        rule: String,
    },
    /// A secret is short enough to be guessed.
    #[error("{name}: expected at least {least} characters")]
    TooShort {
        /// The variable.
        name: String,
        /// Characters at the least.
        least: usize,
    },
    /// A required value that no layer sets.
    #[error("{name}: not set; expected {expected}")]
    Missing {
        /// The variable.
        name: String,
        /// What it expects.
        expected: String,
    },
    /// A file of settings cannot be read.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}
