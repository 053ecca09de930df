//! Deletes what has expired.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Context;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How often what has expired is deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Deletes what has expired, at the start and every ten minutes. `login_failure_window` is how long
/// failed logins count, and `audit_keep` for how long security events are kept.
pub(crate) async fn prune(
    store: Arc<dyn Store>,
    clock: Clock,
    login_failure_window: Duration,
    audit_keep: Duration,
    stop: CancellationToken,
) {
    loop {
        let cx = Context::new(&clock, Deadline::after(Duration::from_secs(60)));
        let pruned = store.prune(cx.now - login_failure_window, cx.now - audit_keep, &cx);
        match stop.run_until_cancelled(pruned).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "what has expired cannot be deleted; trying again later"),
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
