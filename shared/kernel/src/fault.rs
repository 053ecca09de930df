//! Why the suite itself could not do what was requested.

use crate::DeadlineExceeded;

/// Why the suite itself could not do what was requested, whatever the request was. It is where the
/// crates below gRPC meet it: a store makes one of these of its errors, and the gRPC crate makes an
/// answer of that. Whoever makes one has logged the source, which is never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The deadline passed.
    #[error(transparent)]
    DeadlineExceeded(#[from] DeadlineExceeded),
    /// Something that the work needs is away for now; another attempt may succeed.
    #[error("{0} is away for now")]
    Unavailable(&'static str),
    /// A defect; another attempt meets it again.
    #[error("something failed inside")]
    Internal,
}
