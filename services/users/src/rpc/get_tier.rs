//! GetTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetTierRequest) -> Result<pb::Tier, Error> {
    let name = convert::requested_tier("name", &request.name)?;
    let tier = rpc.store.find_tier(&name, &rpc.cx(call)).await?;
    Ok(convert::tier(tier.ok_or_else(|| Error::no_tier(&name))?))
}
