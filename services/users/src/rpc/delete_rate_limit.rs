//! DeleteRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteRateLimitRequest) -> Result<(), Error> {
    let id = convert::id("rate_limit_id", &request.rate_limit_id)?;
    let tier = convert::requested_tier("tier_name", &request.tier_name)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    match rpc.store.delete_rate_limit(&tier, id, &cx).await? {
        true => {
            rpc.limits.refresh();
            Ok(())
        }
        false => Err(Error::RateLimitNotFound { id }),
    }
}
