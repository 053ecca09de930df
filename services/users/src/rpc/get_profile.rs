//! GetProfile.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetProfileRequest) -> Result<pb::Profile, Error> {
    let id = convert::id("user_id", &request.user_id)?;
    let profile = rpc.store.find_profile(id, &rpc.cx(call)).await?;
    Ok(convert::profile(profile.ok_or(Error::ProfileNotFound { id })?))
}
