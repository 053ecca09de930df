//! PurgeUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, detached};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::PurgeUserRequest) -> Result<(), Error> {
    let id = convert::id("user_id", &request.user_id)?;
    let precondition = call.precondition(&request.etag)?;
    let (rpc, call) = (rpc.clone(), call.clone());
    detached::run(async move {
        let purge = rpc.store.begin_purge(id, &rpc.cx(&call).given(precondition)).await?;
        let purge = purge.ok_or(Error::UserNotFound { id })?;
        rpc.accounts.purge(&call, id).await?;
        purge.commit().await
    })
    .await
}
