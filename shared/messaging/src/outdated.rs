//! Cached replies that a write makes outdated are forgotten as part of its event: by the unit of
//! work that commits it, before the write is answered, and by the relay that publishes it, in case
//! the process has died between the two.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use quartet_cache::Cache;
use quartet_proto::events;
use uuid::Uuid;

use crate::Message;

/// Messages whose replies were forgotten, until they are published here; more are forgotten twice.
const MAX_DONE: usize = 100_000;

/// Forgets what writes make outdated. Clones are one.
#[derive(Clone)]
pub(crate) struct Outdated {
    cache: Cache,
    done: Arc<Mutex<HashSet<Uuid>>>,
}

impl Outdated {
    pub(crate) fn new(cache: Cache) -> Self {
        Self {
            cache,
            done: Arc::default(),
        }
    }

    /// Forgets the replies with these tags.
    pub(crate) async fn forget(&self, tags: &[String]) {
        self.cache.invalidate(tags).await;
    }

    /// Forgets the replies with these tags, those of a unit of work whose events are `messages`.
    pub(crate) async fn committed(&self, tags: &[String], messages: &[Uuid]) {
        if !self.cache.is_on() || tags.is_empty() {
            return;
        }
        if !self.cache.invalidate(tags).await {
            return;
        }
        let mut done = self.done.lock();
        if done.len() + messages.len() > MAX_DONE {
            // Those of messages that another process has published.
            done.clear();
        }
        done.extend(messages);
    }

    /// Forgets what these messages make outdated, unless the unit of work has done it in this
    /// process.
    pub(crate) async fn published(&self, messages: &[Message]) {
        if !self.cache.is_on() {
            return;
        }
        let others: Vec<&Message> = {
            let mut done = self.done.lock();
            messages.iter().filter(|message| !done.remove(&message.id)).collect()
        };
        let mut tags: Vec<String> = others
            .into_iter()
            .flat_map(|message| events::tags(&message.kind, &message.payload))
            .collect();
        tags.sort_unstable();
        tags.dedup();
        self.cache.invalidate(&tags).await;
    }
}
