//! Replies from the wire straight to JSON, with no message in between.
//!
//! A [`Plan`] is compiled once of the type of a reply: names that are escaped already, defaults as
//! JSON, the numbers of fields as a table. Writing then is two passes over the bytes of each
//! message: `scan` finds where its fields are, and `write` writes them in the order of their
//! numbers.
//!
//! What is written, what is refused and how deep values nest are the same as with
//! [`json::Writer`](super::json::Writer) over a decoded message; property tests hold the two equal.
//! The one difference is a map with a wire type that is not its own: it is refused, as every other
//! field with one is.
//! What is read past but not written, such as a field that a client has not selected, is checked
//! (`check`), since a decoder would refuse it as well.

mod accept;
mod apply;
mod check;
mod cursor;
mod find;
mod plan;
mod scan;
mod slot;
mod text;
mod write;
mod write_known;

pub(crate) use find::{Found, find, last};
pub(crate) use plan::Plan;
pub(crate) use write::{zigzag32, zigzag64};

use super::json::Unwritable;
use cursor::Malformed;

/// The depth to which protobuf itself reads messages.
const MAX_DEPTH: u32 = 100;

/// Why a message does not become JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("does not decode: {0}")]
    Malformed(String),
    #[error("has no JSON form: {0}")]
    Unwritable(#[from] Unwritable),
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.to_string())
    }
}

#[cfg(test)]
pub(super) mod tests;
