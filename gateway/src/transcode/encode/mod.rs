//! Requests from JSON and text straight to the wire, with no message in between.
//!
//! A [`Plan`] is compiled once of the type of a request: names in the order in which they are looked
//! up, the form of each message, the fields of a oneof that exclude one another. A request then is
//! appended to one buffer, part after part (`json` for a body, `pairs` for a query or a form, `text`
//! for a value that is text): on the wire, what comes later replaces or extends what came before.
//!
//! A plan reads what is right. Where something is not plainly so, it is [`Unclear`], and the request
//! is read again into a message by [`json::Reader`](super::json::Reader) and
//! [`query`](super::query), which name each field that breaks a rule: so there is one place that
//! makes errors. Property tests hold that both take the same requests, and make the same messages of
//! them. The one difference is a negative zero in a field without presence: a message drops it as if
//! it were the default, and its bits are not.

mod json;
mod named;
mod names;
mod pairs;
mod plan;
mod put;
mod text;

pub(crate) use named::Named;
pub(crate) use plan::{Chain, Plan, Target};
pub(crate) use put::{bytes, delimited, string};

use super::json::lexer::Malformed;
use super::violations::Broken;

/// Something is not plainly right; what it is shows when the request is read into a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclear;

pub(crate) type Plain<T> = Result<T, Unclear>;

impl From<Malformed> for Unclear {
    fn from(_: Malformed) -> Self {
        Self
    }
}

impl From<Broken> for Unclear {
    fn from(_: Broken) -> Self {
        Self
    }
}

#[cfg(test)]
pub(crate) mod tests;
