//! GetUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetUserRequest>) -> Result<Response<pb::User>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    let user = rpc.store.find_user(id, call.deadline).await?;
    let user = user.ok_or(Error::UserNotFound { id })?;
    Ok(Response::new(convert::user(user, call.user()?)))
}
