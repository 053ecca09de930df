//! UpdateTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateTierRequest) -> Result<pb::Tier, Error> {
    let (name, new_name) = convert::tier_rename(&request)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let tier = rpc.store.rename_tier(&name, &new_name, &cx).await?;
    rpc.limits.refresh();
    Ok(convert::tier(tier.ok_or_else(|| Error::no_tier(&name))?))
}
