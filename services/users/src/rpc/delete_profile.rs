//! DeleteProfile.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert, permit};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::DeleteProfileRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    permit::own(call, id)?;
    match rpc.store.delete_profile(id, call.deadline).await? {
        true => Ok(Response::new(())),
        false => Err(Error::ProfileNotFound { id }),
    }
}
