//! GetUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetUserRequest) -> Result<pb::User, Error> {
    let id = convert::id("user_id", &request.user_id)?;
    let user = rpc.store.find_user(id, &rpc.cx(call)).await?;
    let user = user.ok_or(Error::UserNotFound { id })?;
    Ok(convert::user(user, call.user()?))
}
