//! ListUserRateLimits.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert, permit};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::ListUserRateLimitsRequest>,
) -> Result<Response<pb::ListUserRateLimitsResponse>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    permit::own(call, id)?;
    let limits = rpc.store.list_user_rate_limits(id, call.deadline).await?;
    Ok(Response::new(pb::ListUserRateLimitsResponse {
        data: limits.into_iter().map(convert::rate_limit).collect(),
    }))
}
