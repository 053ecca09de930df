//! Claims the job that a message asks for.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_messaging::{Message, Outcome};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::store::Lease;

/// Bound on the statements around an attempt.
pub(super) const STEP: std::time::Duration = std::time::Duration::from_secs(10);

/// Takes the messages of one queue.
pub(super) struct Take {
    pub(super) worker: Worker,
    /// Attempts run on their own, so that a connection to the broker that breaks ends none of them.
    pub(super) attempts: TaskTracker,
    pub(super) stop: CancellationToken,
}

#[async_trait]
impl quartet_messaging::Handler for Take {
    /// The message is done once the row says how the attempt ended, or once there was nothing to claim.
    async fn handle(&self, message: &Message) -> Outcome {
        let Ok(job) = message.subject.parse() else {
            return Outcome::Dead {
                reason: format!("`{}` is no id of a job", message.subject),
            };
        };
        if self.stop.is_cancelled() {
            return Outcome::Retry {
                reason: "the worker stops".into(),
            };
        }
        let worker = &self.worker;
        let lease = Lease {
            job,
            id: worker.clock.new_id(),
        };
        let now = worker.clock.now();
        let until = now + worker.pace.lease;
        match worker.store.claim(lease, until, now, Deadline::after(STEP)).await {
            Ok(None) => Outcome::Done,
            Ok(Some(job)) => {
                worker.changes.announce(job.id);
                let attempt = self
                    .attempts
                    .spawn(worker.clone().attempt(lease, job, self.stop.clone()));
                // An attempt that could not even be noted is rescued when its lease runs out; the message has done its part.
                let _ = attempt.await;
                Outcome::Done
            }
            Err(error) => Outcome::Retry {
                reason: error.to_string(),
            },
        }
    }
}
