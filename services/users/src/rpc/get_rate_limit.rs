//! GetRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetRateLimitRequest) -> Result<pb::RateLimit, Error> {
    let id = convert::id("rate_limit_id", &request.rate_limit_id)?;
    let tier = convert::requested_tier("tier_name", &request.tier_name)?;
    let limit = rpc.store.find_rate_limit(&tier, id, &rpc.cx(call)).await?;
    let limit = limit.ok_or(Error::RateLimitNotFound { id })?;
    Ok(convert::rate_limit(limit))
}
