//! ReplacePassword.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, change_password, convert};
use crate::Error;
use crate::domain::Assurance;
use crate::store::Replacement;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ReplacePasswordRequest,
) -> Result<pb::TokenResponse, Error> {
    let user = call.user()?;
    let cookie = request.refresh_cookie.as_deref().unwrap_or_default();
    text::length(cookie, 0, convert::MAX_TOKEN).map_err(|rule| violations::one("refresh_cookie", rule))?;
    let change = change_password::proven(rpc, call, &request.current_password, &request.new_password).await?;
    let cx = rpc.cx(call);
    // What it keeps of the session before it is read where that ends.
    let (successor, token) = rpc.new_session(call, user.id, Assurance::Password, cx.now);
    let replacement = Replacement {
        old: &change.account.password_hash,
        new: &change.new,
        session_id: user.session_id,
        successor,
        // A password is the weaker proof of the two.
        is_fresh_proof: !change.has_second_factor,
    };
    let session = rpc
        .store
        .replace_password(user.id, replacement, &cx)
        .await?
        // Somebody else has changed it meanwhile, so the current one was wrong after all.
        .ok_or(Error::WrongPassword)?;
    let pair = rpc.issue(call, &change.account, &session, token).await?;
    Ok(convert::tokens(&pair, None, request.refresh_cookie.is_some()))
}
