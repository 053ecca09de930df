//! UpdateRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::UpdateRateLimitRequest,
) -> Result<pb::RateLimit, Error> {
    let (id, edit) = convert::rate_limit_edit(&request)?;
    let tier = convert::requested_tier("tier_name", &request.tier_name)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let limit = rpc.store.update_rate_limit(&tier, id, &edit, &cx).await?;
    let limit = limit.ok_or(Error::RateLimitNotFound { id })?;
    rpc.limits.refresh();
    Ok(convert::rate_limit(limit))
}
