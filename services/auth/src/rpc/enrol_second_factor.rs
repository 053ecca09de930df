//! EnrolSecondFactor.

use quartet_kernel::Fault;
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::Rpc;
use crate::Error;
use crate::domain::{TotpSecret, qr_svg};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    _: pb::EnrolSecondFactorRequest,
) -> Result<pb::EnrolSecondFactorResponse, Error> {
    let (id, cx) = (call.user()?.id, rpc.cx(call));
    let account = rpc.store.find_account(id, &cx).await?;
    let account = account.ok_or(Error::AccountNotFound { id })?;
    let secret = TotpSecret::draw(&rpc.clock);
    let sealed = rpc.factor_key.seal(&secret, id, &rpc.clock).ok_or(Fault::Internal)?;
    if !rpc.store.enrol_second_factor(id, &sealed, &cx).await? {
        return Err(Error::SecondFactorExists);
    }
    let uri = secret.uri(&rpc.config.second_factor_issuer, &account.username);
    Ok(pb::EnrolSecondFactorResponse {
        secret: secret.base32(),
        qr_svg: qr_svg(&uri).unwrap_or_default(),
        uri,
    })
}
