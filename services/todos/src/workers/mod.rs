//! What the service does in the background: the purge of deleted users, and the feed's upkeep.

pub(crate) mod feed;
pub(crate) mod purge;
