//! ListRateLimits.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::ListRateLimitsRequest>,
) -> Result<Response<pb::ListRateLimitsResponse>, Error> {
    let call = Call::of(&request)?;
    let tier = convert::tier_asked("tier_name", &request.get_ref().tier_name)?;
    let limits = rpc.store.list_rate_limits(&tier, call.deadline).await?;
    Ok(Response::new(pb::ListRateLimitsResponse {
        data: limits.into_iter().map(convert::rate_limit).collect(),
    }))
}
