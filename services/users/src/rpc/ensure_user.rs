//! EnsureUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::EnsureUserRequest,
) -> Result<pb::EnsureUserResponse, Error> {
    let account = convert::account(&request)?;
    let tier = rpc.store.ensure_user(&account, &rpc.cx(call)).await?;
    Ok(pb::EnsureUserResponse { tier })
}
