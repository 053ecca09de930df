//! PurgeUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::to_its_end::to_its_end;
use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::PurgeUserRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?.clone();
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    let rpc = rpc.clone();
    to_its_end(async move {
        let open = rpc.store.open_purge(id, call.deadline).await?;
        let open = open.ok_or(Error::UserNotFound { id })?;
        rpc.accounts.purge(&call, id).await?;
        open.commit().await
    })
    .await?;
    Ok(Response::new(()))
}
