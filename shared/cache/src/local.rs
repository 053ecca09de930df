//! Replies in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::{Lookup, MAX_TTL, Ticket, Version};

/// Tags that are remembered at the most. One that is forgotten while an entry lives would make the
/// entry count again, so that there are many more than entries are worth.
const MAX_TAGS: u64 = 1_000_000;

/// Replies in this process.
#[derive(Clone)]
pub(crate) struct Local {
    entries: Cache<String, Kept>,
    tags: Cache<String, Version>,
    /// Every version is another one.
    next: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Kept {
    versions: Vec<Version>,
    entry: Bytes,
    ttl: Duration,
}

struct OwnTtl;

impl Expiry<String, Kept> for OwnTtl {
    fn expire_after_create(&self, _: &String, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.ttl)
    }

    fn expire_after_update(&self, _: &String, kept: &Kept, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.ttl)
    }
}

impl Local {
    pub(crate) fn new(max_bytes: usize) -> Self {
        let weight = |key: &String, kept: &Kept| {
            // What the maps need for an entry, roughly.
            const OVERHEAD: usize = 200;
            u32::try_from(key.len() + kept.entry.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            entries: Cache::builder()
                .max_capacity(max_bytes as u64)
                .weigher(weight)
                .expire_after(OwnTtl)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            tags: Cache::builder()
                .max_capacity(MAX_TAGS)
                // What is new is kept, and what was used least recently goes: a version must not be
                // lost.
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(2 * MAX_TTL)
                .build(),
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    pub(crate) fn find(&self, key: String, tags: &[String]) -> Lookup {
        let versions: Vec<Version> = tags.iter().map(|tag| self.tags.get(tag).unwrap_or_default()).collect();
        match self.entries.get(&key) {
            Some(kept) if kept.versions == versions => Lookup::Hit(kept.entry),
            _ => Lookup::Miss(Ticket { key, versions }),
        }
    }

    pub(crate) fn keep(&self, ticket: Ticket, entry: Bytes, ttl: Duration) {
        let kept = Kept {
            versions: ticket.versions,
            entry,
            ttl,
        };
        self.entries.insert(ticket.key, kept);
    }

    pub(crate) fn invalidate(&self, tags: &[String]) {
        for tag in tags {
            self.tags.insert(tag.clone(), self.next.fetch_add(1, Relaxed).into());
        }
    }
}
