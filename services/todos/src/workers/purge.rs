//! Deletes for good what deleted users left, once its time has come.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Context;
use tokio_util::sync::CancellationToken;

use super::periodic;
use crate::Error;
use crate::store::Store;

/// Bound on the purge of one user.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How often deleted users are looked for.
const INTERVAL: Duration = Duration::from_secs(60);

/// Purges users some time after their deletion.
pub(crate) struct Purge {
    store: Arc<dyn Store>,
    clock: Clock,
    after: Duration,
}

impl Purge {
    /// Purges users who were deleted longer than `after` ago.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, after: Duration) -> Self {
        Self { store, clock, after }
    }

    /// Works until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        periodic::every(INTERVAL, "deleted users could not be purged", &stop, || self.once()).await;
    }

    /// Purges all users whose time has come.
    async fn once(&self) -> Result<(), Error> {
        loop {
            let cx = Context::new(&self.clock, Deadline::after(TIMEOUT));
            let Some(user_id) = self.store.purge_deleted_user(cx.now - self.after, &cx).await? else {
                return Ok(());
            };
            tracing::info!(%user_id, "what a deleted user left is deleted for good");
        }
    }
}
