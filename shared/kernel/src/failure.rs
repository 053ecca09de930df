//! Whether another attempt may succeed.

use std::fmt;

use crate::Fault;

/// Why work was not done, by the one thing that decides what happens next: whether another attempt
/// may succeed. `R` is the reason; a text is for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<R = String> {
    /// Another attempt may succeed: something is away, too slow, or busy.
    Transient(R),
    /// Every other attempt would fail as well.
    Permanent(R),
}

impl Failure {
    /// A transient failure.
    pub fn transient(reason: impl fmt::Display) -> Self {
        Self::Transient(reason.to_string())
    }

    /// A permanent failure.
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Self::Permanent(reason.to_string())
    }
}

impl<R> Failure<R> {
    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transient(_) => true,
            Self::Permanent(_) => false,
        }
    }

    /// The reason.
    pub fn reason(&self) -> &R {
        match self {
            Self::Transient(reason) | Self::Permanent(reason) => reason,
        }
    }
}

impl<R: fmt::Display> fmt::Display for Failure<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}

impl<R: fmt::Debug + fmt::Display> std::error::Error for Failure<R> {}

impl From<Fault> for Failure {
    /// The suite itself is at fault, and not the work: a service that is restarted, or repaired,
    /// does it.
    fn from(fault: Fault) -> Self {
        Self::transient(fault)
    }
}
