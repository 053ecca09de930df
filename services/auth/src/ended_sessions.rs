//! The news of ended sessions: told at once by this process, found in the store when another replica ended them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Error;
use crate::domain::EndedSession;
use crate::store::Store;

/// How often the store is asked for news.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// How far each look reaches back: transactions commit in another order than they began, and clocks differ.
const OVERLAP: Duration = Duration::from_secs(60);
/// A watcher that is behind by more than this gets its stream ended, and asks for everything again.
const BACKLOG: usize = 1_024;
/// Without a successful look for this long, watchers are no longer told that they are up to date.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// The news. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct EndedSessions {
    clock: Clock,
    store: Arc<dyn Store>,
    news: broadcast::Sender<Vec<EndedSession>>,
    told: Arc<Mutex<HashMap<Uuid, OffsetDateTime>>>,
    looked_at: Arc<Mutex<Instant>>,
    stop: CancellationToken,
}

impl EndedSessions {
    pub(crate) fn new(clock: Clock, store: Arc<dyn Store>) -> Self {
        Self {
            clock,
            store,
            news: broadcast::channel(BACKLOG).0,
            told: Arc::default(),
            looked_at: Arc::new(Mutex::new(Instant::now())),
            stop: CancellationToken::new(),
        }
    }

    /// Tells every watcher, each session once.
    pub(crate) fn tell(&self, ended: Vec<EndedSession>) {
        let fresh: Vec<EndedSession> = {
            let mut told = self.told.lock();
            ended
                .into_iter()
                .filter(|session| told.insert(session.id, session.forget_at).is_none())
                .collect()
        };
        if !fresh.is_empty() {
            // Nobody watching is fine: who comes later reads the store first.
            let _ = self.news.send(fresh);
        }
    }

    /// What is told from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Vec<EndedSession>> {
        self.news.subscribe()
    }

    /// Every ended session that still has to be remembered.
    pub(crate) async fn all(&self, deadline: Deadline) -> Result<Vec<EndedSession>, Error> {
        self.store.list_ended(None, self.clock.now(), deadline).await
    }

    /// Whether the news is complete: the store was reached of late.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.looked_at.lock().elapsed() < STALE_AFTER
    }

    /// Ends when the service stops, and streams with it.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Looks for news in the store until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut since = self.clock.now() - OVERLAP;
        loop {
            let begun = self.clock.now();
            let look = self.store.list_ended(Some(since), begun, Deadline::after(STALE_AFTER));
            match stop.run_until_cancelled(look).await {
                None => break,
                Some(Ok(ended)) => {
                    since = begun - OVERLAP;
                    self.tell(ended);
                    *self.looked_at.lock() = Instant::now();
                    let mut told = self.told.lock();
                    told.retain(|_, forget_at| *forget_at > begun);
                }
                Some(Err(error)) => tracing::warn!(%error, "looking for ended sessions failed; trying again"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(POLL_EVERY)).await.is_none() {
                break;
            }
        }
        self.stop.cancel();
    }
}
