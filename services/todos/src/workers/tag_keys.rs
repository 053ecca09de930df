//! Writes what names of tags are compared by, where a program of an earlier version has not.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Context;
use tokio_util::sync::CancellationToken;

use super::periodic;
use crate::Error;
use crate::store::Store;

/// Bound on the work on one batch.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Names in one batch.
const BATCH: i64 = 200;
/// How often such names are looked for: programs of the version before may still be running.
const INTERVAL: Duration = Duration::from_secs(60);

/// Keys the names of tags.
pub(crate) struct TagKeys {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl TagKeys {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Works until `stop`, at once at first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        periodic::every(INTERVAL, "names of tags could not be keyed", &stop, || self.once()).await;
    }

    /// Keys all names that are not.
    async fn once(&self) -> Result<(), Error> {
        loop {
            let cx = Context::new(&self.clock, Deadline::after(TIMEOUT));
            if self.store.key_names(BATCH, &cx).await? < BATCH as usize {
                return Ok(());
            }
        }
    }
}
