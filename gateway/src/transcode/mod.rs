//! Between REST and protobuf: ProtoJSON bodies, query strings and forms on one side, messages on
//! the other.
//!
//! Reading order: `text` (a value written as text, such as in a path or a query), `query` (pairs of
//! names and values), `json` (ProtoJSON both ways), `violations` (what a request did wrong, all of
//! it at once), `encode` (requests straight to their bytes), `received` (a reply, in whichever form
//! its JSON is made) and `wire` (replies straight from their bytes to JSON).
//!
//! Messages are bytes both ways, unless their type has what only a `prost_reflect::DynamicMessage`
//! can hold. A request that is not plainly right becomes such a message as well, which finds out what
//! is wrong with it.

pub(crate) mod encode;
pub(crate) mod field_tree;
pub(crate) mod json;
pub(crate) mod known;
pub(crate) mod mask;
mod most;
pub(crate) mod query;
pub(crate) mod received;
pub(crate) mod text;
mod time;
pub(crate) mod violations;
mod wire;

/// Messages within one another below that of a request. Decoders of protobuf take no more, and count
/// the entry of a map as one.
pub(crate) const MAX_MESSAGES: usize = 100;
/// Levels of JSON: each message can stand in a list, which is a level as well.
pub(crate) const MAX_LEVELS: usize = 2 * MAX_MESSAGES + 2;
