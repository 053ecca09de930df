//! RenewRecoveryCodes.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, confirm_second_factor};
use crate::Error;
use crate::domain::RecoveryCode;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    _: pb::RenewRecoveryCodesRequest,
) -> Result<pb::RenewRecoveryCodesResponse, Error> {
    let codes = confirm_second_factor::draw(rpc);
    let hashes: Vec<_> = codes.iter().map(RecoveryCode::hash).collect();
    let id = call.user()?.id;
    if !rpc.store.renew_recovery_codes(id, &hashes, &rpc.cx(call)).await? {
        return Err(Error::SecondFactorNotFound);
    }
    Ok(pb::RenewRecoveryCodesResponse {
        recovery_codes: codes.iter().map(RecoveryCode::expose).collect(),
    })
}
