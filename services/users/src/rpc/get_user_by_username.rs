//! GetUserByUsername.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetUserByUsernameRequest) -> Result<pb::User, Error> {
    let username = convert::requested_username(&request.username)?;
    let user = rpc
        .store
        .find_user_by_username(username.as_str(), &rpc.cx(call))
        .await?;
    let user = user.ok_or_else(|| Error::UsernameNotFound {
        username: username.as_str().to_owned(),
    })?;
    Ok(convert::user(user, call.user()?))
}
