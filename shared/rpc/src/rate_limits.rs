//! The rate limits of tiers, held in memory by every process that enforces them.

use std::time::Duration;

use quartet_limits::rules::Rule;
use quartet_limits::{Limits, Quota};
use quartet_proto::users::v1 as pb;
use quartet_proto::users::v1::tier_service_client::TierServiceClient;
use tokio_util::sync::CancellationToken;

use crate::Peer;

/// The users service sends something at least every five seconds; a stream that is silent for longer
/// than this is lost.
const SILENCE: Duration = Duration::from_secs(15);
/// Wait between two attempts to get the stream back.
const RETRY: Duration = Duration::from_millis(500);

/// Keeps the limits of tiers equal to what the users service streams, until `stop`. While the stream
/// is lost, they stay as they were.
pub(crate) async fn watch(limits: Limits, users: Peer, stop: CancellationToken) {
    loop {
        match stop.run_until_cancelled(follow(&limits, &users)).await {
            None => return,
            Some(Ok(())) => tracing::info!("the stream of rate limits closed; opening it again"),
            Some(Err(status)) => {
                tracing::warn!(code = ?status.code(), "the stream of rate limits is lost; trying again");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
            return;
        }
    }
}

async fn follow(limits: &Limits, users: &Peer) -> Result<(), tonic::Status> {
    let request = users.open_ended(pb::WatchRateLimitsRequest {})?;
    let late = |_| tonic::Status::deadline_exceeded("the stream fell silent");
    let mut client = TierServiceClient::new(users.upstream());
    let reply = tokio::time::timeout(SILENCE, client.watch_rate_limits(request))
        .await
        .map_err(late)??;
    let mut stream = reply.into_inner();
    while let Some(message) = tokio::time::timeout(SILENCE, stream.message()).await.map_err(late)?? {
        if let Some(all) = message.rate_limits {
            limits.set_rules(all.rate_limits.into_iter().map(rule).collect());
        }
    }
    Ok(())
}

fn rule(limit: pb::RateLimit) -> Rule {
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    Rule {
        quota: Quota::new(number(limit.limit), Duration::from_secs(number(limit.period).into())),
        id: limit.id,
        tier: limit.tier_name,
        name: limit.name,
        path: limit.path,
    }
}
