//! Logout.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::LogoutRequest) -> Result<pb::LogoutResponse, Error> {
    let user = call.user()?;
    rpc.store.end_session(user.id, user.session_id, &rpc.cx(call)).await?;
    Ok(convert::logged_out())
}
