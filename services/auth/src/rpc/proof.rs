//! The proofs of who somebody is: the password of their account, and a code of its second factor.

use quartet_rpc::{Call, User};
use uuid::Uuid;

use super::{Rpc, login};
use crate::Error;
use crate::domain::throttle::{Attempt, Mark, Subject, WITH_CODE, WITH_SESSION, origin};
use crate::domain::{Account, EventKind, Password, RecoveryCode, SecondFactor};
use crate::store::{Guess, Name, SignIn};

/// The account of `user`, once `check` has taken the request apart and the password that it returns
/// has proven right, and what else `check` returns. The attempt counts as one with a session of the
/// account, and a wrong password is recorded as `failure`.
///
/// Errors: what `check` refuses; [`Error::WrongPassword`], [`Error::TooManyAttempts`].
pub(super) async fn of_password<T>(
    rpc: &Rpc,
    call: &Call,
    user: &User,
    failure: EventKind,
    check: impl Fn(&SignIn, &Account) -> Result<(Password, T), Error>,
) -> Result<(Account, T), Error> {
    let subject = Subject::Account(user.id);
    let guess = Guess {
        name: Name::Id(user.id),
        nobody: subject,
        origin: WITH_SESSION.to_owned(),
        address: None,
        caller: None,
        device: None,
    };
    let (attempt, account, password, rest) = loop {
        let cx = rpc.cx(call);
        let known = rpc.store.find_sign_in(&guess, &cx).await?;
        let account = known.account.clone().ok_or(Error::AccountNotFound { id: user.id })?;
        let (password, rest) = check(&known, &account)?;
        let pair = Mark::new(subject, WITH_SESSION, rpc.config.pair_policy(), known.pair, cx.now)
            .map_err(|retry_after| Error::TooManyAttempts { retry_after })?;
        let attempt = Attempt {
            pair,
            name: None,
            origin: None,
        };
        if rpc.store.count_attempt(&attempt, &cx).await? {
            break (attempt, account, password, rest);
        }
    };
    let hash = Some(account.password_hash.clone());
    let origin = origin(call.client_address);
    match rpc.hashing.verify(password, hash, &origin, call.deadline).await {
        Ok(true) => {
            rpc.store.clear_attempt(&attempt, &rpc.cx(call)).await?;
            Ok((account, rest))
        }
        Ok(false) => {
            login::record_failure(rpc, call, Some(user.id), &attempt, failure, "password").await;
            Err(Error::WrongPassword)
        }
        Err(error) => {
            login::withdraw(rpc, call, &attempt).await;
            Err(error)
        }
    }
}

/// The account, once `code` has proven to be one of its second factor: of its app, or a recovery code.
/// Either works once. The attempt is yet to be cleared.
///
/// Errors: [`Error::SecondFactorNotFound`], [`Error::WrongCode`], [`Error::TooManyAttempts`].
pub(super) async fn of_code(rpc: &Rpc, call: &Call, id: Uuid, code: &str) -> Result<(Account, Attempt), Error> {
    let (account, factor, attempt) = count_code(rpc, call, id).await?;
    if factor.confirmed_at.is_none() {
        return Err(Error::SecondFactorNotFound);
    }
    let cx = rpc.cx(call);
    let used = match (step(rpc, &factor, code), RecoveryCode::parse(code)) {
        (Some(step), _) => rpc.store.use_code(id, step, &cx).await?,
        (None, Some(code)) => rpc.store.use_recovery_code(&factor, code.hash(), &cx).await?,
        (None, None) => false,
    };
    match used {
        true => Ok((account, attempt)),
        false => {
            login::record_failure(rpc, call, Some(id), &attempt, EventKind::LoginFail, "code").await;
            Err(Error::WrongCode)
        }
    }
}

/// The account, its second factor, confirmed or not, and an attempt at that, which is counted.
pub(super) async fn count_code(rpc: &Rpc, call: &Call, id: Uuid) -> Result<(Account, SecondFactor, Attempt), Error> {
    let subject = Subject::Account(id);
    let guess = Guess {
        name: Name::Id(id),
        nobody: subject,
        origin: WITH_CODE.to_owned(),
        address: None,
        caller: None,
        device: None,
    };
    let factor = rpc.store.find_second_factor(id, &rpc.cx(call)).await?;
    let factor = factor.ok_or(Error::SecondFactorNotFound)?;
    loop {
        let cx = rpc.cx(call);
        let known = rpc.store.find_sign_in(&guess, &cx).await?;
        let account = known.account.ok_or(Error::AccountNotFound { id })?;
        let pair = Mark::new(subject, WITH_CODE, rpc.config.pair_policy(), known.pair, cx.now)
            .map_err(|retry_after| Error::TooManyAttempts { retry_after })?;
        let attempt = Attempt {
            pair,
            name: None,
            origin: None,
        };
        if rpc.store.count_attempt(&attempt, &cx).await? {
            return Ok((account, factor, attempt));
        }
    }
}

/// The time step of a code of an app, if it is right.
pub(super) fn step(rpc: &Rpc, factor: &SecondFactor, code: &str) -> Option<i64> {
    let Some(secret) = rpc.factor_key.open(&factor.sealed, factor.account_id) else {
        tracing::error!(account_id = %factor.account_id, "a second factor was encrypted under another key");
        return None;
    };
    let code: String = code.chars().filter(|c| *c != ' ').collect();
    secret.step_of(&code, rpc.clock.now())
}
