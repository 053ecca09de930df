//! DeleteRateLimit.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::DeleteRateLimitRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("rate_limit_id", &request.get_ref().rate_limit_id)?;
    let tier = convert::tier_asked("tier_name", &request.get_ref().tier_name)?;
    match rpc.store.delete_rate_limit(&tier, id, call.deadline).await? {
        true => Ok(Response::new(())),
        false => Err(Error::RateLimitNotFound { id }),
    }
}
