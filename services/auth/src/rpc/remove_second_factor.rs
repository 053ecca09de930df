//! RemoveSecondFactor.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::Rpc;
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::RemoveSecondFactorRequest) -> Result<(), Error> {
    let id = call.user()?.id;
    match rpc.store.remove_second_factor(id, &rpc.cx(call)).await? {
        true => Ok(()),
        false => Err(Error::SecondFactorNotFound),
    }
}
