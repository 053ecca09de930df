//! UpdateTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::UpdateTierRequest>) -> Result<Response<pb::Tier>, Error> {
    let call = Call::of(&request)?;
    let (name, new_name) = convert::tier_rename(request.get_ref())?;
    let tier = rpc
        .store
        .rename_tier(&name, &new_name, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(convert::tier(tier.ok_or_else(|| Error::no_tier(&name))?)))
}
