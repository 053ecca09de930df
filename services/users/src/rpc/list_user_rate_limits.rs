//! ListUserRateLimits.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, access};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListUserRateLimitsRequest,
) -> Result<pb::ListUserRateLimitsResponse, Error> {
    let id = convert::id("user_id", &request.user_id)?;
    access::owner_or_superuser(call, id)?;
    let limits = rpc.store.list_user_rate_limits(id, &rpc.cx(call)).await?;
    Ok(pb::ListUserRateLimitsResponse {
        data: limits.into_iter().map(convert::rate_limit).collect(),
    })
}
