//! The upkeep of the feed of changes: finds what other instances have written, and forgets what is
//! old.
//!
//! A write in this process notifies the followers at once, through
//! [`FeedNotifier`](crate::store::FeedNotifier). One in another instance is found in the store
//! within [`POLL_INTERVAL`]: one query for all owners that somebody follows here, whatever their
//! number of streams. PostgreSQL's `notify` inside the write would be quicker, but it takes a lock
//! that all commits of the database share.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Context;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::periodic;
use crate::Error;
use crate::store::Store;

/// How often the store is read for the changes that other instances have written.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Owners in one query.
const POLL_OWNERS: usize = 1_000;
/// How often old changes are forgotten.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);
/// Changes forgotten in one transaction.
const PRUNE_BATCH: u32 = 5_000;
/// Bound on one query. A bound below that on every statement would take a transaction.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps the feed.
pub(crate) struct FeedUpkeep {
    store: Arc<dyn Store>,
    clock: Clock,
    /// How long a change is kept.
    keep: Duration,
}

impl FeedUpkeep {
    /// Keeps changes for `keep`.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, keep: Duration) -> Self {
        Self { store, clock, keep }
    }

    /// Works until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.poll() => {}
            () = periodic::every(PRUNE_INTERVAL, "old changes could not be forgotten", &stop, || self.prune()) => {}
        }
    }

    async fn poll(&self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let owners = self.store.notifier().owners();
            for owners in owners.chunks(POLL_OWNERS) {
                self.notify(owners).await;
            }
        }
    }

    async fn notify(&self, owners: &[Uuid]) {
        match self.store.list_heads(owners, &self.cx()).await {
            Ok(heads) => heads
                .into_iter()
                .for_each(|(owner, head)| self.store.notifier().advance(owner, head)),
            Err(error) => tracing::warn!(%error, "reading the heads of feeds failed; trying again"),
        }
    }

    /// Forgets all changes that are older than they are kept.
    async fn prune(&self) -> Result<(), Error> {
        let before = self.clock.now() - self.keep;
        while self.store.prune_changes(before, PRUNE_BATCH, &self.cx()).await? >= u64::from(PRUNE_BATCH) {
            // There is more, and the store may have others to serve in between.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn cx(&self) -> Context {
        Context::new(&self.clock, Deadline::after(TIMEOUT))
    }
}
