//! PurgeAccount.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::PurgeAccountRequest) -> Result<(), Error> {
    let id = convert::id("account_id", &request.account_id)?;
    rpc.store.purge_account(id, &rpc.cx(call)).await?;
    Ok(())
}
