//! Which way a message goes.

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the client. Null is "not set"; unknown names are refused.
    Input,
    /// From the client, where the names that are sent decide what is changed: none has to be there.
    Patch,
    /// To the client. Fields without presence are always there.
    Output,
}
