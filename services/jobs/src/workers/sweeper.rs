//! Keeps jobs going that nobody is at: queues what is due, rescues the orphans of dead workers, asks again for what was lost on the way, and forgets
//! what has expired.

use quartet_kernel::Deadline;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::take::STEP;
use crate::Error;

/// Rows that one statement takes; locks are held briefly.
const BATCH: i64 = 100;
/// How often files without a job are looked for.
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
        let now = self.clock.now();
        let deadline = || Deadline::after(STEP);
        while self.store.enqueue_due(now, BATCH, deadline()).await? == BATCH as usize {}
        let rescued = self.store.rescue(now, BATCH, deadline()).await?;
        if rescued > 0 {
            tracing::warn!(rescued, "jobs of workers that died were rescued");
        }
        let before = now - self.pace.redeliver_after;
        let again = self.store.ask_again(before, now, BATCH, deadline()).await?;
        if again > 0 {
            tracing::warn!(again, "jobs that no worker came for were asked for again");
        }
        for id in self.store.list_expired(now, BATCH, deadline()).await? {
            // The file first: a row without its file is forgotten at the next sweep, a file without its row would stay.
            self.files.remove(id).await?;
            self.store.delete_expired(id, now, deadline()).await?;
        }
        if strays {
            for id in self.files.strays().await? {
                if self.store.find_any_job(id, deadline()).await?.is_none() {
                    self.files.remove(id).await?;
                }
            }
        }
        Ok(())
    }
}
