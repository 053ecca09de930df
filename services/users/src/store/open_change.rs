//! A change that waits for another service's word.

use std::pin::Pin;

use crate::Error;

/// A change that is written but does not last yet. [`OpenChange::commit`] makes it last; dropped, it is taken back.
///
/// It holds a transaction, in SQLite the only one that writes: wait for little while holding it.
#[must_use = "a change that is dropped is taken back"]
pub struct OpenChange(Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send>>);

impl OpenChange {
    /// `commit` owns the transaction and commits it when it is first polled.
    pub(super) fn new(commit: impl Future<Output = Result<(), sqlx::Error>> + Send + 'static) -> Self {
        Self(Box::pin(commit))
    }

    /// Makes the change last.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.0.await?)
    }
}
