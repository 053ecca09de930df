//! GetMe.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetMeRequest>) -> Result<Response<pb::User>, Error> {
    let call = Call::of(&request)?;
    let me = call.user()?;
    let user = rpc.store.find_user(me.id, call.deadline).await?;
    let user = user.ok_or(Error::UserNotFound { id: me.id })?;
    Ok(Response::new(convert::user(user, me)))
}
