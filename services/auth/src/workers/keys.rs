//! Reads the signing keys again and again.

use std::time::Duration;

use quartet_kernel::Deadline;
use tokio_util::sync::CancellationToken;

use crate::key_ring::{self, KeyRing};

/// Reads the keys, so that a rotation by another process is seen before the new key signs.
pub(crate) async fn watch_keys(ring: KeyRing, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(key_ring::REFRESH_EVERY))
        .await
        .is_some()
    {
        if let Err(error) = ring.read(Deadline::after(Duration::from_secs(5))).await {
            tracing::warn!(%error, "the signing keys cannot be read; trying again");
        }
    }
}
