//! What the service does in the background: the purge of deleted users, the feed's upkeep, and
//! the keys of names of tags.

pub(crate) mod feed;
mod periodic;
pub(crate) mod purge;
pub(crate) mod tag_keys;
