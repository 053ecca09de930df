//! RestoreUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, detached};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RestoreUserRequest) -> Result<pb::User, Error> {
    let id = convert::id("user_id", &request.user_id)?;
    let viewer = call.user()?.clone();
    let precondition = call.precondition(&request.etag)?;
    let (rpc, call) = (rpc.clone(), call.clone());
    let user = detached::run(async move {
        let restoration = rpc.store.begin_restore(id, &rpc.cx(&call).given(precondition)).await?;
        let (user, restoration) = restoration.ok_or(Error::UserNotFound { id })?;
        rpc.accounts.reopen(&call, id).await?;
        restoration.commit().await?;
        Ok(user)
    })
    .await?;
    Ok(convert::user(user, &viewer))
}
