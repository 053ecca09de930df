//! UpdateProfile.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, access};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateProfileRequest) -> Result<pb::Profile, Error> {
    let (id, edit) = convert::profile_edit(&request)?;
    access::owner_or_superuser(call, id)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let profile = rpc.store.write_profile(id, &edit, &cx).await?;
    Ok(convert::profile(profile))
}
