//! Notifies whoever watches a job in this process that it has changed. What changes in other
//! processes is found by reading the job now and then.

use tokio::sync::broadcast;
use uuid::Uuid;

/// How many changes a slow subscription may be behind before it is notified of all jobs at once.
const BACKLOG: usize = 256;

/// Notifies this process of jobs that change. Clones are one.
#[derive(Clone)]
pub struct JobNotifier(broadcast::Sender<Uuid>);

/// Receives changes from the time it was made.
pub struct Subscription(broadcast::Receiver<Uuid>);

impl JobNotifier {
    /// Nothing has changed yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// A job has changed.
    pub fn notify(&self, job: Uuid) {
        // There may be no subscription.
        let _ = self.0.send(job);
    }

    /// Receives what changes from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }
}

impl Default for JobNotifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Subscription {
    /// Waits until `job` changes, or may have.
    pub async fn changed(&mut self, job: Uuid) {
        loop {
            match self.0.recv().await {
                Ok(changed) if changed != job => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // Nothing will change in this process any more.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
