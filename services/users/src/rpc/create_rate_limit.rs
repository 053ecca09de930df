//! CreateRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::CreateRateLimitRequest>,
) -> Result<Response<pb::RateLimit>, Error> {
    let call = Call::of(&request)?;
    let new = convert::new_rate_limit(request.get_ref(), rpc.clock.new_id())?;
    let tier = convert::tier_asked("tier_name", &request.get_ref().tier_name)?;
    let limit = rpc
        .store
        .insert_rate_limit(&tier, &new, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(convert::rate_limit(limit)))
}
