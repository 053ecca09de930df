//! DeleteRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteRateLimitRequest) -> Result<(), Error> {
    let id = convert::id("rate_limit_id", &request.rate_limit_id)?;
    let tier = convert::requested_tier("tier_name", &request.tier_name)?;
    match rpc.store.delete_rate_limit(&tier, id, &rpc.cx(call)).await? {
        true => Ok(()),
        false => Err(Error::RateLimitNotFound { id }),
    }
}
