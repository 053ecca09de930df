//! Work that is due again and again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Error;

/// Does `work` at once, and again `interval` after it has ended, until `stop`. What failed is logged as
/// `failed` and is tried again at the next turn.
pub(super) async fn every<W: Future<Output = Result<(), Error>>>(
    interval: Duration,
    failed: &'static str,
    stop: &CancellationToken,
    mut work: impl FnMut() -> W,
) {
    while !stop.is_cancelled() {
        if let Err(error) = work().await {
            tracing::warn!(%error, "{failed}; trying again later");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_failed_is_tried_again_until_the_stop() {
        const INTERVAL: Duration = Duration::from_millis(1);
        let stop = CancellationToken::new();
        let mut turns = 0;
        every(INTERVAL, "it failed", &stop, || {
            turns += 1;
            if turns == 3 {
                stop.cancel();
            }
            std::future::ready(Err(Error::TagsChanged))
        })
        .await;
        assert_eq!(turns, 3);
    }
}
