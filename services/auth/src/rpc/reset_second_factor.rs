//! ResetSecondFactor.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::ResetSecondFactorRequest) -> Result<(), Error> {
    let id = convert::id("account_id", &request.account_id)?;
    match rpc.store.reset_second_factor(id, &rpc.cx(call)).await? {
        true => Ok(()),
        false => Err(Error::SecondFactorNotFound),
    }
}
