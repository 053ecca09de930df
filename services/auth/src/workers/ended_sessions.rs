//! Finds the sessions that other processes end.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Context;
use tokio_util::sync::CancellationToken;

use crate::ended_sessions::{EndedSessions, STALE_AFTER};
use crate::store::Store;

/// How often the store is polled.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// How far each poll reaches back: transactions commit in another order than they began, and clocks
/// differ.
const OVERLAP: Duration = Duration::from_secs(60);

/// Publishes what the store has to `ended` until `stop`.
pub(crate) async fn follow(ended: EndedSessions, store: Arc<dyn Store>, clock: Clock, stop: CancellationToken) {
    let mut since = clock.now() - OVERLAP;
    loop {
        let cx = Context::new(&clock, Deadline::after(STALE_AFTER));
        match stop.run_until_cancelled(store.list_ended(Some(since), &cx)).await {
            None => break,
            Some(Ok(found)) => {
                since = cx.now - OVERLAP;
                ended.publish(found);
                ended.polled(cx.now);
            }
            Some(Err(error)) => tracing::warn!(%error, "ended sessions cannot be read from the store; trying again"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(POLL_EVERY)).await.is_none() {
            break;
        }
    }
    ended.stopping().cancel();
}
