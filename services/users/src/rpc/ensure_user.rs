//! EnsureUser.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::EnsureUserRequest>,
) -> Result<Response<pb::EnsureUserResponse>, Error> {
    let call = Call::of(&request)?;
    let account = convert::account(request.get_ref())?;
    let tier = rpc.store.ensure_user(&account, rpc.clock.now(), call.deadline).await?;
    Ok(Response::new(pb::EnsureUserResponse { tier }))
}
