//! How much a user may have.

/// How much a user may have; unbounded where it is not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Todos that are not deleted.
    pub todos: Option<i64>,
    /// Tags.
    pub tags: Option<i64>,
}
