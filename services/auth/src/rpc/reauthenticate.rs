//! Reauthenticate.

use quartet_kernel::{Rule, Violations, text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, User};

use super::{Rpc, convert, proof};
use crate::Error;
use crate::domain::{Account, Assurance, EventKind, Password};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ReauthenticateRequest,
) -> Result<pb::ReauthenticateResponse, Error> {
    let user = call.user()?;
    let (account, assurance) = match (request.password.as_str(), request.code.as_str()) {
        (password, "") => (by_password(rpc, call, user, password).await?, None),
        ("", code) => (by_code(rpc, call, user, code).await?, Some(Assurance::TwoFactors)),
        (_, _) => {
            let rule = Rule::new("ONE_OF", "cannot be given together with `password`");
            return Err(violations::one("code", rule).into());
        }
    };
    let session = rpc
        .store
        .prove_session(account.id, user.session_id, assurance, &rpc.cx(call))
        .await?
        .ok_or(Error::SessionNotFound { id: user.session_id })?;
    let (access_token, expires_in) = rpc.tokens.access(&account, &session, account.tier.clone())?;
    Ok(pb::ReauthenticateResponse {
        access_token,
        token_type: convert::BEARER.to_owned(),
        expires_in,
    })
}

async fn by_password(rpc: &Rpc, call: &Call, user: &User, password: &str) -> Result<Account, Error> {
    let (account, ()) = proof::of_password(rpc, call, user, EventKind::LoginFail, |known, _| {
        let mut violations = Violations::new();
        let password = violations.check("password", Password::presented(password));
        violations.finish()?;
        // A password is the weaker proof of the two, and may be known to whoever has the token.
        match known.has_second_factor {
            true => Err(Error::SecondFactorNeeded),
            false => Ok((convert::checked(password)?, ())),
        }
    })
    .await?;
    Ok(account)
}

async fn by_code(rpc: &Rpc, call: &Call, user: &User, code: &str) -> Result<Account, Error> {
    text::required(code, convert::MAX_CODE).map_err(|rule| violations::one("code", rule))?;
    let (account, attempt) = proof::of_code(rpc, call, user.id, code).await?;
    rpc.store.clear_attempt(&attempt, &rpc.cx(call)).await?;
    Ok(account)
}
