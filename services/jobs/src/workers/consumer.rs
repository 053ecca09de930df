//! Claims the job of a message.

use async_trait::async_trait;
use quartet_messaging::{Failure, Message};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::store::Lease;

/// Claims the jobs of one queue.
pub(super) struct Consumer {
    pub(super) worker: Worker,
    /// Attempts run on their own, so that a connection to the broker that breaks ends none of them.
    pub(super) attempts: TaskTracker,
    pub(super) stop: CancellationToken,
}

#[async_trait]
impl quartet_messaging::Handler for Consumer {
    /// The message is done once the row has the end of the attempt, or once there was nothing to
    /// claim.
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        let job = message
            .subject
            .parse()
            .map_err(|_| Failure::Permanent(format!("`{}` is no id of a job", message.subject)))?;
        if self.stop.is_cancelled() {
            return Err(Failure::transient("the worker stops"));
        }
        let worker = &self.worker;
        let lease = Lease {
            job,
            id: worker.clock.new_id(),
        };
        let cx = worker.cx();
        let claimed = worker.store.claim(lease, cx.now + worker.pace.lease, &cx).await?;
        if let Some(job) = claimed {
            let attempt = worker.clone().attempt(lease, job, self.stop.clone());
            // An attempt that could not even write its end is rescued when its lease runs out; the
            // message has done its part.
            let _ = self.attempts.spawn(attempt).await;
        }
        Ok(())
    }
}
