//! What has to be done now and then: reading the keys again, deleting what has expired.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use tokio_util::sync::CancellationToken;

use crate::key_ring::{self, KeyRing};
use crate::store::Store;

/// How often what has expired is deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Reads the keys again and again, so that a rotation by another process is seen before the new key signs.
pub(crate) async fn watch_keys(ring: KeyRing, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(key_ring::REFRESH_EVERY))
        .await
        .is_some()
    {
        if let Err(error) = ring.read(Deadline::after(Duration::from_secs(5))).await {
            tracing::warn!(%error, "reading the signing keys failed; trying again");
        }
    }
}

/// Deletes what has expired, at the start and every ten minutes. `login_failure_window` is how long failed logins count.
pub(crate) async fn prune(
    store: Arc<dyn Store>,
    clock: Clock,
    login_failure_window: Duration,
    stop: CancellationToken,
) {
    loop {
        let now = clock.now();
        let pruned = store.prune(
            now,
            now - login_failure_window,
            Deadline::after(Duration::from_secs(60)),
        );
        match stop.run_until_cancelled(pruned).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "deleting what has expired failed; trying again later"),
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(PRUNE_EVERY))
            .await
            .is_none()
        {
            return;
        }
    }
}
