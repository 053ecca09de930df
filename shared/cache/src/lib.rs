//! Replies that are kept for a while, and forgotten when what they show changes.
//!
//! An entry has tags, such as `todos/0199…`. A write invalidates tags, which is how it forgets
//! entries that it does not know. Each tag has a version: an entry is kept under the versions that
//! its tags had *before* the reply was made, and counts only while they are the same. So a reply
//! that was on its way while a write was committed is never served after it.
//!
//! In reading order: [`Cache`], and where it keeps things: `local` (in this process) and `shared`
//! (in Redis, for all processes).

mod config;
mod local;
mod shared;

use std::time::Duration;

use bytes::Bytes;
use quartet_redis::Redis;

pub use config::Config;

/// Where replies are kept. Cheap to clone; clones share what is kept.
#[derive(Clone)]
pub struct Cache(Place);

#[derive(Clone)]
enum Place {
    Nowhere,
    Local(local::Local),
    Shared(shared::Shared),
}

/// What a look-up has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The entry, as it was kept.
    Hit(Bytes),
    /// There is none that counts. The reply can be kept with the ticket.
    Miss(Ticket),
    /// There is no cache, or it is away.
    Off,
}

/// The right to keep a reply that is made from now on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticket {
    key: String,
    /// The versions of the tags at the look-up.
    versions: Vec<Version>,
}

/// A version of a tag; zero where it was not invalidated of late.
type Version = u128;

/// No entry is kept for longer: tags have to be remembered for as long.
pub const MAX_TTL: Duration = Duration::from_secs(300);

impl Cache {
    /// No cache.
    pub fn none() -> Self {
        Self(Place::Nowhere)
    }

    /// In this process; at most so many bytes.
    pub fn local(max_bytes: usize) -> Self {
        Self(Place::Local(local::Local::new(max_bytes)))
    }

    /// In Redis. Call it inside a tokio runtime.
    pub fn shared(redis: Redis) -> Self {
        Self(Place::Shared(shared::Shared::new(redis)))
    }

    /// Whether anything is kept at all.
    pub fn is_on(&self) -> bool {
        !matches!(self.0, Place::Nowhere)
    }

    /// The entry at `key`, if one is there that was kept since `tags` were last invalidated.
    pub async fn find(&self, key: String, tags: &[String]) -> Lookup {
        match &self.0 {
            Place::Nowhere => Lookup::Off,
            Place::Local(local) => local.find(key, tags),
            Place::Shared(shared) => shared.find(key, tags).await,
        }
    }

    /// Keeps a reply that was made after the look-up of `ticket`, for at most [`MAX_TTL`]. Does not
    /// wait for it.
    pub fn keep(&self, ticket: Ticket, entry: Bytes, ttl: Duration) {
        match &self.0 {
            Place::Nowhere => {}
            Place::Local(local) => local.keep(ticket, entry, ttl.min(MAX_TTL)),
            Place::Shared(shared) => shared.keep(ticket, entry, ttl.min(MAX_TTL)),
        }
    }

    /// Forgets every entry with one of these tags: when this returns true, none of them is found any
    /// more. It returns false after about a second while Redis is away. Then nothing is found there by
    /// whoever sees that as well, and the tags are forgotten as soon as this process reaches it.
    pub async fn invalidate(&self, tags: &[String]) -> bool {
        match &self.0 {
            Place::Nowhere => true,
            _ if tags.is_empty() => true,
            Place::Local(local) => {
                local.invalidate(tags);
                true
            }
            Place::Shared(shared) => shared.invalidate(tags).await,
        }
    }
}
