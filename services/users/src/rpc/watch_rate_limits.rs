//! WatchRateLimits.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::RateLimit;

/// How often a quiet stream sends an empty message.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

pub(crate) type Stream = Pin<Box<dyn futures::Stream<Item = Result<pb::WatchRateLimitsResponse, Status>> + Send>>;

pub(super) async fn handle(rpc: &Rpc, _: &Call, _: pb::WatchRateLimitsRequest) -> Result<Stream, Error> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(follow(rpc.limits.watch(), sender, rpc.limits.stopping()));
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

/// Passes the limits on until the watcher leaves or the service stops.
async fn follow(
    mut limits: watch::Receiver<Option<Arc<[RateLimit]>>>,
    watcher: mpsc::Sender<Result<pb::WatchRateLimitsResponse, Status>>,
    stopping: CancellationToken,
) {
    limits.mark_changed();
    loop {
        let message = tokio::select! {
            () = stopping.cancelled() => return,
            () = watcher.closed() => return,
            changed = tokio::time::timeout(KEEP_ALIVE, limits.changed()) => match changed {
                Ok(Ok(())) => limits.borrow_and_update().as_deref().map(message),
                Ok(Err(_)) => return,
                Err(_) => Some(pb::WatchRateLimitsResponse::default()),
            },
        };
        if let Some(message) = message
            && watcher.send(Ok(message)).await.is_err()
        {
            return;
        }
    }
}

fn message(limits: &[RateLimit]) -> pb::WatchRateLimitsResponse {
    let rate_limits = limits.iter().cloned().map(convert::rate_limit).collect();
    pb::WatchRateLimitsResponse {
        rate_limits: Some(pb::RateLimits { rate_limits }),
    }
}
