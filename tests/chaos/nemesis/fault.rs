//! The kinds of faults.

use std::fmt;

/// What can happen to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT later.
    Pause,
    /// SIGTERM, and a new start.
    Restart,
}

impl FaultKind {
    /// Every kind, in the order of the report.
    pub const ALL: [Self; 3] = [Self::Kill, Self::Pause, Self::Restart];
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Restart => "restart",
        })
    }
}
