//! PurgeAccount.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::EndReason;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::PurgeAccountRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("account_id", &request.get_ref().account_id)?;
    let ending = rpc.ending(EndReason::Account);
    rpc.ended
        .tell(rpc.store.purge_account(id, ending, call.deadline).await?);
    Ok(Response::new(()))
}
