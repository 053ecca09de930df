//! The live side of the feed of changes: tells followers of news as they come, and keeps the feed from growing without end.
//!
//! A write in this process is told at once, through [`Heads`](crate::store::Heads). One in another instance is found in the store within
//! [`POLL_EVERY`]: one query for all owners that somebody follows here, whatever their number of streams. PostgreSQL's `notify` inside the
//! write would be quicker, but it takes a lock that all commits of the database share.

mod telling;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use telling::{Start, Told};

use crate::store::Store;

/// How often the store is asked for the news of other instances.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// Owners in one question.
const POLL_OWNERS: usize = 1_000;
/// How often old changes are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Changes forgotten in one transaction.
const PRUNE_AT_ONCE: u32 = 5_000;
/// Time that one look at the store may take.
const LOOK: Duration = Duration::from_secs(5);

/// The feed. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    clock: Clock,
    /// How long a change is kept.
    keep: Duration,
    /// How long a stream waits for a reader that does not read.
    patience: Duration,
    stopping: CancellationToken,
}

impl Feed {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, config: &crate::Config) -> Self {
        Self {
            store,
            clock,
            keep: config.feed_window,
            patience: config.watch_patience,
            stopping: CancellationToken::new(),
        }
    }

    /// Looks for news and forgets what is old, until `stop`; then ends every stream.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.poll() => {}
            () = self.prune() => {}
        }
        self.stopping.cancel();
    }

    async fn poll(&self) {
        loop {
            tokio::time::sleep(POLL_EVERY).await;
            let owners = self.store.heads().owners();
            for owners in owners.chunks(POLL_OWNERS) {
                self.look(owners).await;
            }
        }
    }

    async fn look(&self, owners: &[Uuid]) {
        match self.store.list_heads(owners, Deadline::after(LOOK)).await {
            Ok(heads) => heads
                .into_iter()
                .for_each(|(owner, head)| self.store.heads().tell(owner, head)),
            Err(error) => tracing::warn!(%error, "looking for changes failed; trying again"),
        }
    }

    async fn prune(&self) {
        loop {
            let before = self.clock.now() - self.keep;
            loop {
                match self
                    .store
                    .prune_changes(before, PRUNE_AT_ONCE, Deadline::after(LOOK))
                    .await
                {
                    Ok(pruned) if pruned < u64::from(PRUNE_AT_ONCE) => break,
                    // There is more, and the store may have others to serve in between.
                    Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(error) => {
                        tracing::warn!(%error, "forgetting old changes failed; trying again later");
                        break;
                    }
                }
            }
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    }
}
