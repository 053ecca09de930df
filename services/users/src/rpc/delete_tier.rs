//! DeleteTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::DeleteTierRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let name = convert::tier_asked("name", &request.get_ref().name)?;
    match rpc.store.delete_tier(&name, call.deadline).await? {
        true => Ok(Response::new(())),
        false => Err(Error::no_tier(&name)),
    }
}
