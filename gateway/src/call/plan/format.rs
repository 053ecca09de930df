//! How replies are written.

use http::{HeaderMap, StatusCode};

use super::reply::{Body, ReplyPlan};
use crate::call::accept;
use crate::problem::Problem;

/// How the replies of a stream are written. A single reply is JSON or raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::call) enum Format {
    Array,
    Lines,
    Events,
    Raw,
}

const STREAMED: [(Format, &str); 3] = [
    (Format::Array, "application/json"),
    (Format::Lines, "application/x-ndjson"),
    (Format::Events, "text/event-stream"),
];

impl Format {
    /// The format of a reply that the client accepts.
    ///
    /// # Errors
    /// 406 `NOT_ACCEPTABLE` when the client accepts no format that there is.
    pub(in crate::call) fn choose(reply: &ReplyPlan, streaming: bool, headers: &HeaderMap) -> Result<Self, Problem> {
        if matches!(reply.body, Body::Raw(_)) {
            return Ok(Self::Raw);
        }
        if reply.status == StatusCode::NO_CONTENT {
            return Ok(Self::Array);
        }
        let formats = if streaming { &STREAMED[..] } else { &STREAMED[..1] };
        let types: Vec<&str> = formats.iter().map(|(_, media_type)| *media_type).collect();
        accept::choose(headers, &types).map(|index| formats[index].0)
    }
}
