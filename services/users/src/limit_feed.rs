//! The feed of the rate limits of all tiers: whoever enforces them gets all at once, and all again
//! once one has changed, here or in another process.

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::RateLimit;

/// The feed. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct LimitFeed(Arc<Inner>);

struct Inner {
    /// `None` until they have been read.
    limits: watch::Sender<Option<Arc<[RateLimit]>>>,
    changed: Notify,
    stop: CancellationToken,
}

impl LimitFeed {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            limits: watch::Sender::new(None),
            changed: Notify::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Follows the feed, which is read from the store as long as somebody does.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<[RateLimit]>>> {
        let receiver = self.0.limits.subscribe();
        self.0.changed.notify_one();
        receiver
    }

    /// Has the limits read again, because one of them has changed.
    pub(crate) fn refresh(&self) {
        self.0.changed.notify_one();
    }

    /// Waits for the next [`LimitFeed::refresh`].
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Whether anybody follows the feed.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.limits.receiver_count() > 0
    }

    /// Publishes the limits, if they are not what they were.
    pub(crate) fn publish(&self, limits: Vec<RateLimit>) {
        self.0.limits.send_if_modified(|known| {
            let is_new = known.as_deref() != Some(limits.as_slice());
            if is_new {
                *known = Some(limits.into());
            }
            is_new
        });
    }

    /// Ends when the service stops, and streams with it.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }
}
