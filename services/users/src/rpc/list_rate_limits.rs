//! ListRateLimits.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListRateLimitsRequest,
) -> Result<pb::ListRateLimitsResponse, Error> {
    let tier = convert::requested_tier("tier_name", &request.tier_name)?;
    let limits = rpc.store.list_rate_limits(&tier, &rpc.cx(call)).await?;
    Ok(pb::ListRateLimitsResponse {
        data: limits.into_iter().map(convert::rate_limit).collect(),
    })
}
