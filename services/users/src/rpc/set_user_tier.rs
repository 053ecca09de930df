//! SetUserTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::SetUserTierRequest>) -> Result<Response<pb::User>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    let tier = request.get_ref().tier.as_deref();
    let tier = tier.map(|tier| convert::tier_asked("tier", tier)).transpose()?;
    let user = rpc
        .store
        .set_tier(id, tier.as_ref(), rpc.clock.now(), call.deadline)
        .await?;
    let user = user.ok_or(Error::UserNotFound { id })?;
    Ok(Response::new(convert::user(user, call.user()?)))
}
