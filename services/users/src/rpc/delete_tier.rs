//! DeleteTier.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteTierRequest) -> Result<(), Error> {
    let name = convert::requested_tier("name", &request.name)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    match rpc.store.delete_tier(&name, &cx).await? {
        true => {
            rpc.limits.refresh();
            Ok(())
        }
        false => Err(Error::no_tier(&name)),
    }
}
