//! A change that waits for another service's answer.

use std::pin::Pin;

use crate::Error;

/// A change that is written but not committed. [`PendingChange::commit`] commits it; dropped, it is
/// rolled back.
///
/// It holds a transaction, in SQLite the only one that writes: whatever is awaited while it is held
/// needs a short timeout.
#[must_use = "a change that is dropped is rolled back"]
pub struct PendingChange(Pin<Box<dyn Future<Output = Result<(), quartet_store::Error>> + Send>>);

impl PendingChange {
    /// `commit` owns the unit of work and commits it when it is first polled.
    pub(super) fn new(commit: impl Future<Output = Result<(), quartet_store::Error>> + Send + 'static) -> Self {
        Self(Box::pin(commit))
    }

    /// Commits the change.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.0.await?)
    }
}
