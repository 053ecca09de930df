//! ConfirmSecondFactor.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert, login, proof};
use crate::Error;
use crate::domain::{EventKind, RECOVERY_CODES, RecoveryCode};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ConfirmSecondFactorRequest,
) -> Result<pb::ConfirmSecondFactorResponse, Error> {
    let user = call.user()?;
    text::required(&request.code, convert::MAX_CODE).map_err(|rule| violations::one("code", rule))?;
    let (account, factor, attempt) = proof::count_code(rpc, call, user.id).await?;
    if factor.confirmed_at.is_some() {
        rpc.store.withdraw_attempt(&attempt, &rpc.cx(call)).await?;
        return Err(Error::SecondFactorExists);
    }
    let Some(step) = proof::step(rpc, &factor, &request.code) else {
        login::record_failure(rpc, call, Some(user.id), &attempt, EventKind::LoginFail, "code").await;
        return Err(Error::WrongCode);
    };
    let codes = draw(rpc);
    let hashes: Vec<_> = codes.iter().map(RecoveryCode::hash).collect();
    let session = rpc
        .store
        .confirm_second_factor(&factor, user.session_id, step, &hashes, &rpc.cx(call))
        .await?
        // Another one was drawn meanwhile, or the session has ended.
        .ok_or(Error::WrongCode)?;
    rpc.store.clear_attempt(&attempt, &rpc.cx(call)).await?;
    let (access_token, expires_in) = rpc.tokens.access(&account, &session, account.tier.clone())?;
    Ok(pb::ConfirmSecondFactorResponse {
        recovery_codes: codes.iter().map(RecoveryCode::expose).collect(),
        access_token,
        token_type: convert::BEARER.to_owned(),
        expires_in,
    })
}

/// New recovery codes.
pub(super) fn draw(rpc: &Rpc) -> Vec<RecoveryCode> {
    (0..RECOVERY_CODES).map(|_| RecoveryCode::draw(&rpc.clock)).collect()
}
