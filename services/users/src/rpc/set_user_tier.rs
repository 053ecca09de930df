//! SetUserTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::SetUserTierRequest) -> Result<pb::User, Error> {
    let id = convert::id("user_id", &request.user_id)?;
    let tier = request.tier.as_deref();
    let tier = tier.map(|tier| convert::requested_tier("tier", tier)).transpose()?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let user = rpc.store.set_tier(id, tier.as_ref(), &cx).await?;
    let user = user.ok_or(Error::UserNotFound { id })?;
    Ok(convert::user(user, call.user()?))
}
