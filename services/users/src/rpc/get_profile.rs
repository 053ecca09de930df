//! GetProfile.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetProfileRequest>) -> Result<Response<pb::Profile>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    let profile = rpc.store.find_profile(id, call.deadline).await?;
    Ok(Response::new(convert::profile(
        profile.ok_or(Error::ProfileNotFound { id })?,
    )))
}
