//! GetUserTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, access};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetUserTierRequest) -> Result<pb::Tier, Error> {
    let id = convert::id("user_id", &request.user_id)?;
    access::owner_or_superuser(call, id)?;
    let tier = rpc.store.find_user_tier(id, &rpc.cx(call)).await?;
    Ok(convert::tier(tier.ok_or(Error::NoTier { id })?))
}
