//! Tells whoever watches a job in this process that it has changed. What changes in other processes is seen by looking again now and then.

use tokio::sync::broadcast;
use uuid::Uuid;

/// How many changes a slow listener may be behind before it is told to look at once.
const BACKLOG: usize = 256;

/// Changes of jobs in this process. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Changes(broadcast::Sender<Uuid>);

/// Hears of changes from the moment it was made.
pub struct Listener(broadcast::Receiver<Uuid>);

impl Changes {
    /// Nothing has changed yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// Tells that a job has changed.
    pub fn announce(&self, job: Uuid) {
        // Nobody may be listening.
        let _ = self.0.send(job);
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    /// Waits until `job` changes, or may have.
    pub async fn of(&mut self, job: Uuid) {
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
