//! DeleteProfile.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, access};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteProfileRequest) -> Result<(), Error> {
    let id = convert::id("user_id", &request.user_id)?;
    access::owner_or_superuser(call, id)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    match rpc.store.delete_profile(id, &cx).await? {
        true => Ok(()),
        false => Err(Error::ProfileNotFound { id }),
    }
}
