//! Logout.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::EndReason;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::LogoutRequest>,
) -> Result<Response<pb::LogoutResponse>, Error> {
    let call = Call::of(&request)?;
    let user = call.user()?;
    let ending = rpc.ending(EndReason::Logout);
    let ended = rpc
        .store
        .end_session(user.id, user.session_id, ending, call.deadline)
        .await?;
    rpc.ended.tell(ended.into_iter().collect());
    Ok(Response::new(convert::logged_out()))
}
