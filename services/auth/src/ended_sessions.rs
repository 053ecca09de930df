//! The feed of ended sessions: what this process ends is published at once, and a worker finds in
//! the store what another replica ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::EndedSession;

/// A watcher that is behind by more than this gets its stream ended, and begins again with all of
/// them.
const BACKLOG: usize = 1_024;
/// Without a successful poll for this long, the feed is no longer up to date.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(5);

/// The feed. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct EndedSessions {
    life: Duration,
    feed: broadcast::Sender<Vec<EndedSession>>,
    published: Arc<Mutex<HashMap<Uuid, OffsetDateTime>>>,
    polled_at: Arc<Mutex<Instant>>,
    stop: CancellationToken,
}

impl EndedSessions {
    /// A feed whose sessions have to be remembered for `life` after their end.
    pub fn new(life: Duration) -> Self {
        Self {
            life,
            feed: broadcast::channel(BACKLOG).0,
            published: Arc::default(),
            polled_at: Arc::new(Mutex::new(Instant::now())),
            stop: CancellationToken::new(),
        }
    }

    /// Until when a session that ends at `now` has to be remembered.
    pub(crate) fn forget_at(&self, now: OffsetDateTime) -> OffsetDateTime {
        now + self.life
    }

    /// Publishes to every watcher, each session once.
    pub(crate) fn publish(&self, ended: Vec<EndedSession>) {
        let fresh: Vec<EndedSession> = {
            let mut published = self.published.lock();
            ended
                .into_iter()
                .filter(|session| published.insert(session.id, session.forget_at).is_none())
                .collect()
        };
        if !fresh.is_empty() {
            // Nobody watching is fine: who comes later reads the store first.
            let _ = self.feed.send(fresh);
        }
    }

    /// What is published from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Vec<EndedSession>> {
        self.feed.subscribe()
    }

    /// Whether the feed is complete: the store was reached of late.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.polled_at.lock().elapsed() < STALE_AFTER
    }

    /// Records that the store was reached. Sessions that need not be remembered at `now` are
    /// forgotten.
    pub(crate) fn polled(&self, now: OffsetDateTime) {
        *self.polled_at.lock() = Instant::now();
        let mut published = self.published.lock();
        published.retain(|_, forget_at| *forget_at > now);
    }

    /// Ends when the service stops, and streams with it.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }
}
