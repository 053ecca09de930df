//! UpdateRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::UpdateRateLimitRequest>,
) -> Result<Response<pb::RateLimit>, Error> {
    let call = Call::of(&request)?;
    let (id, edit) = convert::rate_limit_edit(request.get_ref())?;
    let tier = convert::tier_asked("tier_name", &request.get_ref().tier_name)?;
    let limit = rpc
        .store
        .update_rate_limit(&tier, id, &edit, rpc.clock.now(), call.deadline)
        .await?;
    let limit = limit.ok_or(Error::RateLimitNotFound { id })?;
    Ok(Response::new(convert::rate_limit(limit)))
}
