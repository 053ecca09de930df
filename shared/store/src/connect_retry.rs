//! Waiting for a database that is away while a process starts. Afterwards nobody waits: calls are
//! refused, and tried again by whoever made them.

use std::fmt;
use std::time::Duration;

use quartet_kernel::Deadline;

use crate::Error;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a start waits for a database that is away, however often it goes.
#[derive(Debug, Clone, Copy)]
pub struct ConnectRetry(Deadline);

impl ConnectRetry {
    /// Waits until `deadline`.
    pub fn until(deadline: Deadline) -> Self {
        Self(deadline)
    }

    /// Pauses after an attempt that failed; `false` when another one is not worth it: the database
    /// is there, or the time is up.
    pub async fn again(&self, error: &Error) -> bool {
        matches!(error, Error::Unavailable(_)) && self.wait(error).await
    }

    /// Pauses for a database that is away; `false` when the time is up.
    pub(crate) async fn wait(&self, error: &(dyn fmt::Display + Sync)) -> bool {
        if self.0.has_passed() {
            return false;
        }
        tracing::warn!(%error, "the database does not answer yet");
        tokio::time::sleep(PAUSE).await;
        true
    }
}
