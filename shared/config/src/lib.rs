//! Settings: where they come from, what they may be, and how they are documented.
//!
//! [`Source`] gathers the layers; [`settings!`] declares a struct of settings, each with its name, type, default and comment, from which
//! reading, `quartet config` and `.env.example` all follow; [`value`] holds the types that a setting may have.

pub mod example;
mod macros;
mod source;
pub mod value;

pub use source::{Environment, Source};
pub use value::Secret;

/// What is known of a setting before it is read; [`settings!`] makes these.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The variable's name, as `AUTH_ACCESS_TOKEN_TTL`.
    pub name: &'static str,
    /// The default, as it would be written in a file; `None` when the setting is optional and unset by default.
    pub default: Option<&'static str>,
    /// The comment, a line per element, as the source has it.
    pub doc: &'static [&'static str],
    /// Whether the value is hidden when settings are printed.
    pub secret: bool,
}

/// A setting that cannot be used: one line that names the variable and what it expects.
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
    /// A secret is so short that it can be guessed.
    #[error("{name}: expected at least {least} characters")]
    TooShort {
        /// The variable.
        name: String,
        /// Characters at the least.
        least: usize,
    },
    /// A value is needed and no layer sets one.
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
        /// What is wrong with it.
        reason: String,
    },
}
