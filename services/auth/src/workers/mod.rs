//! What runs in the background until the service stops.

mod ended_sessions;
mod keys;
mod prune;

pub(crate) use ended_sessions::follow;
pub(crate) use keys::watch_keys;
pub(crate) use prune::prune;
