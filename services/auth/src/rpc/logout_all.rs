//! LogoutAll.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::LogoutAllRequest) -> Result<pb::LogoutResponse, Error> {
    // An account that is gone has no sessions left.
    rpc.store.end_sessions(call.user()?.id, &rpc.cx(call)).await?;
    Ok(convert::logged_out())
}
