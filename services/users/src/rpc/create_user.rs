//! CreateUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, detached};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::CreateUserRequest) -> Result<pb::User, Error> {
    let viewer = call.user()?.clone();
    let (rpc, call) = (rpc.clone(), call.clone());
    let user = detached::run(async move {
        // Were this the last thing to succeed, the event of the account would make the user.
        let account = rpc.accounts.open(&call, request).await?;
        rpc.store.ensure_user(&account, &rpc.cx(&call)).await?;
        let user = rpc.store.find_user(account.id, &rpc.cx(&call)).await?;
        user.ok_or(Error::UserNotFound { id: account.id })
    })
    .await?;
    Ok(convert::user(user, &viewer))
}
