//! RevokeSession.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RevokeSessionRequest) -> Result<(), Error> {
    let id = convert::id("session_id", &request.session_id)?;
    let user = call.user()?;
    if id != user.session_id {
        call.fresh_proof()?;
    }
    let ended = rpc.store.end_session(user.id, id, &rpc.cx(call)).await?;
    ended.map(|_| ()).ok_or(Error::SessionNotFound { id })
}
