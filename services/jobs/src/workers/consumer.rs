//! Claims a job for a message.

use async_trait::async_trait;
use quartet_messaging::{Failure, Message};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::domain::Queue;

/// Claims the jobs of one queue.
pub(super) struct Consumer {
    pub(super) worker: Worker,
    pub(super) queue: Queue,
    /// Attempts run on their own, so that a connection to the broker that breaks ends none of them.
    pub(super) attempts: TaskTracker,
    pub(super) stop: CancellationToken,
}

#[async_trait]
impl quartet_messaging::Handler for Consumer {
    /// The message is done once the row has the end of the attempt, or once there was nothing to
    /// claim. There are at least as many messages as jobs that have a place, so that whichever job a
    /// message claims, none is left without.
    async fn handle(&self, _: &Message) -> Result<(), Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::transient("the worker stops"));
        }
        let worker = &self.worker;
        let (lease, cx) = (worker.clock.new_id(), worker.cx());
        let until = cx.now + worker.pace.lease;
        let claimed = worker.store.claim(self.queue, lease, until, &cx).await?;
        if let Some((lease, job)) = claimed {
            let attempt = worker.clone().attempt(lease, job, self.stop.clone());
            // An attempt that could not even write its end is rescued when its lease runs out; the
            // message has done its part.
            let _ = self.attempts.spawn(attempt).await;
        }
        Ok(())
    }
}
