//! GetTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetTierRequest>) -> Result<Response<pb::Tier>, Error> {
    let call = Call::of(&request)?;
    let name = convert::tier_asked("name", &request.get_ref().name)?;
    let tier = rpc.store.find_tier(&name, call.deadline).await?;
    Ok(Response::new(convert::tier(tier.ok_or_else(|| Error::no_tier(&name))?)))
}
