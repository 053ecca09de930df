//! UpdateUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::to_its_end::to_its_end;
use super::{Rpc, convert, permit};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::UpdateUserRequest>) -> Result<Response<pb::User>, Error> {
    let call = Call::of(&request)?.clone();
    let (id, mut edit) = convert::user_edit(request.get_ref())?;
    let viewer = permit::own(&call, id)?.clone();
    let rpc = rpc.clone();
    let user = to_its_end(async move {
        if edit.touches_account() {
            // Auth would change the account of a user that is not there, too.
            let found = rpc.store.find_user(id, call.deadline).await?;
            found.ok_or(Error::UserNotFound { id })?;
            rpc.accounts.update(&call, id, &mut edit).await?;
        }
        rpc.store.update_user(id, &edit, rpc.clock.now(), call.deadline).await
    })
    .await?;
    let user = user.ok_or(Error::UserNotFound { id })?;
    Ok(Response::new(convert::user(user, &viewer)))
}
