//! UpdateUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, access, detached};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateUserRequest) -> Result<pb::User, Error> {
    let (id, mut edit) = convert::user_edit(&request)?;
    let viewer = access::owner_or_superuser(call, id)?.clone();
    let (rpc, call) = (rpc.clone(), call.clone());
    let user = detached::run(async move {
        if edit.touches_account() {
            // Auth would change the account of a user that is not there, too.
            let found = rpc.store.find_user(id, &rpc.cx(&call)).await?;
            found.ok_or(Error::UserNotFound { id })?;
            rpc.accounts.update(&call, id, &mut edit).await?;
        }
        rpc.store.update_user(id, &edit, &rpc.cx(&call)).await
    })
    .await?;
    let user = user.ok_or(Error::UserNotFound { id })?;
    Ok(convert::user(user, &viewer))
}
