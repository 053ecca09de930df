//! Reads the rate limits for whoever follows them.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_store::Context;
use tokio_util::sync::CancellationToken;

use crate::limit_feed::LimitFeed;
use crate::store::Store;

/// How often the store is polled for what other processes have changed.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Bound on one poll.
const DEADLINE: Duration = Duration::from_secs(10);

/// Publishes what the store has to `feed` until `stop`.
pub(crate) async fn follow(feed: LimitFeed, store: Arc<dyn Store>, clock: Clock, stop: CancellationToken) {
    let poll = async {
        loop {
            if feed.is_watched() {
                let cx = Context::new(&clock, Deadline::after(DEADLINE));
                match store.list_all_rate_limits(&cx).await {
                    Ok(limits) => feed.publish(limits),
                    Err(error) => tracing::warn!(%error, "rate limits cannot be read from the store; trying again"),
                }
            }
            // Whether it was notified or waited long enough, the store is read.
            let _ = tokio::time::timeout(POLL_EVERY, feed.changed()).await;
        }
    };
    stop.run_until_cancelled(poll).await;
    feed.stopping().cancel();
}
