//! CreateRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::CreateRateLimitRequest,
) -> Result<pb::RateLimit, Error> {
    let new = convert::new_rate_limit(&request, rpc.clock.new_id())?;
    let tier = convert::requested_tier("tier_name", &request.tier_name)?;
    let limit = rpc.store.insert_rate_limit(&tier, &new, &rpc.cx(call)).await?;
    rpc.limits.refresh();
    Ok(convert::rate_limit(limit))
}
