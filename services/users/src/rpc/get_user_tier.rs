//! GetUserTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert, permit};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetUserTierRequest>) -> Result<Response<pb::Tier>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    permit::own(call, id)?;
    let tier = rpc.store.find_user_tier(id, call.deadline).await?;
    Ok(Response::new(convert::tier(tier.ok_or(Error::NoTier { id })?)))
}
