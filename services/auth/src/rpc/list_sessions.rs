//! ListSessions.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    _: pb::ListSessionsRequest,
) -> Result<pb::ListSessionsResponse, Error> {
    let user = call.user()?;
    let sessions = rpc.store.list_sessions(user.id, &rpc.cx(call)).await?;
    Ok(pb::ListSessionsResponse {
        data: sessions
            .into_iter()
            .map(|session| convert::session(session, user.session_id))
            .collect(),
    })
}
