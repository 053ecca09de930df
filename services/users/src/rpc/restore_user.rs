//! RestoreUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::to_its_end::to_its_end;
use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::RestoreUserRequest>) -> Result<Response<pb::User>, Error> {
    let call = Call::of(&request)?.clone();
    let id = convert::id("user_id", &request.get_ref().user_id)?;
    let viewer = call.user()?.clone();
    let rpc = rpc.clone();
    let user = to_its_end(async move {
        let open = rpc.store.open_restore(id, rpc.clock.now(), call.deadline).await?;
        let (user, open) = open.ok_or(Error::UserNotFound { id })?;
        rpc.accounts.reopen(&call, id).await?;
        open.commit().await?;
        Ok(user)
    })
    .await?;
    Ok(Response::new(convert::user(user, &viewer)))
}
