//! ListSessions.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::ListSessionsRequest>,
) -> Result<Response<pb::ListSessionsResponse>, Error> {
    let call = Call::of(&request)?;
    let user = call.user()?;
    let sessions = rpc.store.list_sessions(user.id, rpc.clock.now(), call.deadline).await?;
    Ok(Response::new(pb::ListSessionsResponse {
        data: sessions
            .into_iter()
            .map(|session| convert::session(session, user.session_id))
            .collect(),
    }))
}
