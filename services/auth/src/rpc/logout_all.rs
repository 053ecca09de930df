//! LogoutAll.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::EndReason;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::LogoutAllRequest>,
) -> Result<Response<pb::LogoutResponse>, Error> {
    let call = Call::of(&request)?;
    let ending = rpc.ending(EndReason::Logout);
    let ended = rpc.store.end_sessions(call.user()?.id, ending, call.deadline).await?;
    rpc.ended.tell(ended);
    Ok(Response::new(convert::logged_out()))
}
