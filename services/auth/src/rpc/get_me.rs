//! GetMe.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::GetMeRequest) -> Result<pb::Account, Error> {
    let id = call.user()?.id;
    let account = rpc.store.find_account(id, &rpc.cx(call)).await?;
    Ok(convert::account(&account.ok_or(Error::AccountNotFound { id })?))
}
