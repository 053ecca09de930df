//! UpdateUser.

use quartet_kernel::Email;
use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, access, detached};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateUserRequest) -> Result<pb::User, Error> {
    let (id, mut edit) = convert::user_edit(&request)?;
    let viewer = access::owner_or_superuser(call, id)?.clone();
    let precondition = call.precondition(&request.etag)?;
    let (rpc, call) = (rpc.clone(), call.clone());
    let (user, pending_email) = detached::run(async move {
        if edit.touches_account() {
            // Auth would change the account of a user that is not there, too.
            let found = rpc.store.find_user(id, &rpc.cx(&call)).await?;
            let found = found.ok_or(Error::UserNotFound { id })?;
            if let Some(precondition) = &precondition {
                // Before auth changes the account. The store checks it again, under the lock of the
                // user.
                precondition.check(found.etag())?;
            }
            let moves = |email: &Email| email.key() != found.email.to_lowercase();
            if edit.email.as_ref().is_some_and(moves) {
                call.fresh_proof()?;
            }
            rpc.accounts.update(&call, id, &mut edit).await?;
        }
        let user = rpc
            .store
            .update_user(id, &edit, &rpc.cx(&call).given(precondition))
            .await?;
        Ok::<_, Error>((user, edit.pending_email))
    })
    .await?;
    let user = user.ok_or(Error::UserNotFound { id })?;
    Ok(pb::User {
        pending_email,
        ..convert::user(user, &viewer)
    })
}
