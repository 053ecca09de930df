//! Keeps jobs going that no worker runs: queues what is due, rescues the orphans of dead workers,
//! fills lanes whose last write was cut short, publishes messages again that were lost, and deletes
//! what has expired.

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::Error;

/// Rows of one statement; locks are held briefly.
const BATCH: i64 = 100;
/// How often files without a job are searched for.
const STRAYS_EVERY: std::time::Duration = std::time::Duration::from_secs(3_600);

impl Worker {
    /// Sweeps until `stop`.
    pub(super) async fn sweep(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.pace.poll);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut strays_at = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let strays = Instant::now() >= strays_at;
            if strays {
                strays_at += STRAYS_EVERY;
            }
            if let Err(error) = self.sweep_once(strays).await {
                tracing::warn!(%error, "the sweep was cut short");
            }
        }
    }

    async fn sweep_once(&self, strays: bool) -> Result<(), Error> {
        let cx = || self.cx();
        while self.store.enqueue_due(BATCH, &cx()).await? == BATCH as usize {}
        let rescued = self.store.rescue(BATCH, &cx()).await?;
        if rescued > 0 {
            tracing::warn!(rescued, "jobs of workers that died were rescued");
        }
        while self.store.fill_lanes(BATCH, &cx()).await? == BATCH as usize {}
        let before = self.clock.now() - self.pace.redeliver_after;
        let redelivered = self.store.redeliver(before, BATCH, &cx()).await?;
        if redelivered > 0 {
            tracing::warn!(
                redelivered,
                "messages of jobs that no worker claimed were published again"
            );
        }
        let expired = self.store.list_expired(BATCH, &cx()).await?;
        if !expired.is_empty() {
            // The files first: a row without its file is deleted at the next sweep, a file without
            // its row would stay.
            for id in &expired {
                self.files.remove(*id).await?;
            }
            self.store.delete_expired(&expired, &cx()).await?;
        }
        if strays {
            self.store.review_lanes(BATCH, &cx()).await?;
            self.store.forget_mails(&cx()).await?;
            for id in self.files.strays().await? {
                if self.store.find_any_job(id, &cx()).await?.is_none() {
                    self.files.remove(id).await?;
                }
            }
        }
        Ok(())
    }
}
