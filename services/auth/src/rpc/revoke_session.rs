//! RevokeSession.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::EndReason;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::RevokeSessionRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("session_id", &request.get_ref().session_id)?;
    let ending = rpc.ending(EndReason::Logout);
    let ended = rpc
        .store
        .end_session(call.user()?.id, id, ending, call.deadline)
        .await?;
    rpc.ended.tell(vec![ended.ok_or(Error::SessionNotFound { id })?]);
    Ok(Response::new(()))
}
