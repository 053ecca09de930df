//! ReopenAccount.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::EndReason;
use crate::store::AccountChange;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::ReopenAccountRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("account_id", &request.get_ref().account_id)?;
    let ending = rpc.ending(EndReason::Account);
    let changed = rpc
        .store
        .change_account(id, AccountChange::Closed(false), ending, call.deadline)
        .await?;
    let (_, ended) = changed.ok_or(Error::AccountNotFound { id })?;
    rpc.ended.tell(ended);
    Ok(Response::new(()))
}
