//! CompleteLogin.

use quartet_kernel::{Violations, text};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{IssuedDevice, Rpc, convert, login, proof};
use crate::Error;
use crate::domain::{Assurance, FactorKey, Status};
use crate::tokens::Pair;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::CompleteLoginRequest,
) -> Result<pb::TokenResponse, Error> {
    let code = Code {
        challenge: ("challenge", &request.challenge),
        code: ("code", &request.code),
        device_token: match request.device_cookie.as_deref() {
            Some(cookie) if request.device_token.is_empty() => ("device_cookie", cookie),
            _ => ("device_token", &request.device_token),
        },
        client: None,
    };
    let (pair, device) = complete(rpc, call, code).await?;
    Ok(convert::tokens(&pair, Some(&device), request.use_cookie))
}

/// What somebody completes a login with, by the names of the fields.
pub(super) struct Code<'a> {
    pub(super) challenge: (&'static str, &'a str),
    pub(super) code: (&'static str, &'a str),
    /// Empty for none.
    pub(super) device_token: (&'static str, &'a str),
    /// The OAuth 2.0 client that the session is for, if one is configured.
    pub(super) client: Option<String>,
}

/// Opens a session for whoever has a challenge and a code.
pub(super) async fn complete(rpc: &Rpc, call: &Call, code: Code<'_>) -> Result<(Pair, IssuedDevice), Error> {
    login::count(try_complete(rpc, call, code).await)
}

async fn try_complete(rpc: &Rpc, call: &Call, given: Code<'_>) -> Result<(Pair, IssuedDevice), Error> {
    let Code {
        challenge: (challenge_field, challenge),
        code: (code_field, code),
        device_token: (device_field, device_token),
        client,
    } = given;
    let mut violations = Violations::new();
    violations.check(challenge_field, text::required(challenge, convert::MAX_TOKEN));
    violations.check(code_field, text::required(code, convert::MAX_CODE));
    violations.check(device_field, text::length(device_token, 0, convert::MAX_TOKEN));
    violations.finish()?;
    let now = rpc.clock.now();
    let device = rpc.device_key.verify(device_token, rpc.config.device_token_ttl.0, now);
    let id = FactorKey::account_of(challenge).ok_or(Error::InvalidChallenge)?;
    // Before an attempt is counted: whoever lacks the password must not delay the owner.
    let genuine = async || {
        let account = rpc.store.find_account(id, &rpc.cx(call)).await?;
        let account = account.filter(|account| account.status() != Status::Closed);
        account
            .filter(|account| {
                let key = &rpc.factor_key;
                key.accepts(challenge, id, &account.password_hash, client.as_deref(), now)
            })
            .ok_or(Error::InvalidChallenge)
    };
    if genuine().await?.status() == Status::Disabled {
        return Err(Error::AccountDisabled);
    }
    let (account, attempt) = proof::of_code(rpc, call, id, code).await?;
    let opening = login::Opening {
        assurance: Assurance::TwoFactors,
        device,
        client,
    };
    let opened = login::open(rpc, call, &account, &attempt, opening).await;
    // The account was barred, or its password changed, since it was read.
    opened.map_err(|error| match error {
        Error::InvalidCredentials => Error::InvalidChallenge,
        error => error,
    })
}
