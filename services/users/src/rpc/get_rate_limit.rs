//! GetRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::GetRateLimitRequest>,
) -> Result<Response<pb::RateLimit>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("rate_limit_id", &request.get_ref().rate_limit_id)?;
    let tier = convert::tier_asked("tier_name", &request.get_ref().tier_name)?;
    let limit = rpc.store.find_rate_limit(&tier, id, call.deadline).await?;
    let limit = limit.ok_or(Error::RateLimitNotFound { id })?;
    Ok(Response::new(convert::rate_limit(limit)))
}
