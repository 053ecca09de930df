//! DeleteUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, access, detached};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteUserRequest) -> Result<(), Error> {
    let id = convert::id("user_id", &request.user_id)?;
    access::owner_or_superuser(call, id)?;
    let precondition = call.precondition(&request.etag)?;
    let (rpc, call) = (rpc.clone(), call.clone());
    detached::run(async move {
        let deletion = rpc.store.begin_delete(id, &rpc.cx(&call).given(precondition)).await?;
        let deletion = deletion.ok_or(Error::UserNotFound { id })?;
        rpc.accounts.close(&call, id).await?;
        deletion.commit().await
    })
    .await
}
