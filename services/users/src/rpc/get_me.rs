//! GetMe.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::GetMeRequest) -> Result<pb::User, Error> {
    let me = call.user()?;
    let user = rpc.store.find_user(me.id, &rpc.cx(call)).await?;
    let user = user.ok_or(Error::UserNotFound { id: me.id })?;
    Ok(convert::user(user, me))
}
