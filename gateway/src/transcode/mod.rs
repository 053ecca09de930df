//! Between REST and protobuf: ProtoJSON bodies, query strings and forms on one side, messages on
//! the other.
//!
//! Reading order: `text` (a value written as text, such as in a path or a query), `query` (pairs of
//! names and values), `json` (ProtoJSON both ways), `violations` (what a request did wrong, all of
//! it at once).
//!
//! Messages are `prost_reflect::DynamicMessage`s; nothing outside this module depends on how they
//! are read and written.

pub(crate) mod json;
pub(crate) mod known;
pub(crate) mod mask;
pub(crate) mod query;
pub(crate) mod text;
mod time;
pub(crate) mod violations;

/// How deep values may nest, in JSON and in dotted names alike.
pub(crate) const MAX_DEPTH: usize = 64;
