//! DeleteTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteTierRequest) -> Result<(), Error> {
    let name = convert::requested_tier("name", &request.name)?;
    match rpc.store.delete_tier(&name, &rpc.cx(call)).await? {
        true => Ok(()),
        false => Err(Error::no_tier(&name)),
    }
}
