//! EndSessions.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::EndSessionsRequest) -> Result<(), Error> {
    let id = convert::id("account_id", &request.account_id)?;
    let ended = rpc.store.end_sessions(id, &rpc.cx(call)).await?;
    ended.map(|_| ()).ok_or(Error::AccountNotFound { id })
}
