//! ReopenAccount.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::store::AccountChange;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::ReopenAccountRequest) -> Result<(), Error> {
    let id = convert::id("account_id", &request.account_id)?;
    let change = AccountChange::Closed(false);
    let changed = rpc.store.change_account(id, change, &rpc.cx(call)).await?;
    changed.map(|_| ()).ok_or(Error::AccountNotFound { id })
}
