//! GetUserByUsername.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::GetUserByUsernameRequest>,
) -> Result<Response<pb::User>, Error> {
    let call = Call::of(&request)?;
    let username = convert::username_asked(&request.get_ref().username)?;
    let user = rpc
        .store
        .find_user_by_username(username.as_str(), call.deadline)
        .await?;
    let user = user.ok_or_else(|| Error::UsernameNotFound {
        username: username.as_str().to_owned(),
    })?;
    Ok(Response::new(convert::user(user, call.user()?)))
}
