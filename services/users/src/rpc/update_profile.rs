//! UpdateProfile.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert, permit};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::UpdateProfileRequest>,
) -> Result<Response<pb::Profile>, Error> {
    let call = Call::of(&request)?;
    let (id, edit) = convert::profile_edit(request.get_ref())?;
    permit::own(call, id)?;
    let profile = rpc
        .store
        .write_profile(id, &edit, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(convert::profile(profile)))
}
