//! Login.

use quartet_kernel::{Email, Violations, text};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, Caller};

use super::{Rpc, change_password, convert};
use crate::Error;
use crate::domain::throttle::{ANYWHERE, Attempt, Mark, Subject, origin};
use crate::domain::{Account, Password, PasswordHash, Status};
use crate::store::{Guess, Name, SignIn};
use crate::tokens::Pair;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::LoginRequest) -> Result<pb::TokenResponse, Error> {
    let fields = ("username_or_email", "password");
    let pair = sign_in(rpc, call, &request.username_or_email, &request.password, fields).await?;
    Ok(convert::tokens(&pair, request.use_cookie))
}

/// Opens a session for whoever has the password of `name`. `fields` are the names of the two in the
/// request.
pub(super) async fn sign_in(
    rpc: &Rpc,
    call: &Call,
    name: &str,
    password: &str,
    fields: (&str, &str),
) -> Result<Pair, Error> {
    let mut violations = Violations::new();
    let name = violations.check(fields.0, text::required(name.trim(), Email::MAX));
    let password = violations.check(fields.1, Password::presented(password));
    violations.finish()?;
    let (name, password) = (convert::checked(name)?, convert::checked(password)?);

    let (attempt, found) = begin(rpc, call, name).await?;
    let account = verify(rpc, call, &attempt, found, password).await?;
    let cx = rpc.cx(call);
    let (session, token) = rpc.new_session(call, account.id, cx.now);
    let opened = rpc
        .store
        .open_session(&session, &account.password_hash, &attempt, &cx)
        .await?;
    let account = opened.ok_or(Error::InvalidCredentials)?;
    rpc.issue(call, &account, &session.session, token).await
}

/// Counts the attempt before its password is checked, for names with and without an account alike.
/// Where another attempt gets in between, its count is read first.
async fn begin(rpc: &Rpc, call: &Call, name: &str) -> Result<(Attempt, Option<Account>), Error> {
    let guess = guess(call, name);
    loop {
        let cx = rpc.cx(call);
        let known = rpc.store.find_sign_in(&guess, &cx).await?;
        let attempt = attempt(rpc, call, &guess, &known, cx.now)?;
        if rpc.store.count_attempt(&attempt, &cx).await? {
            return Ok((attempt, known.account));
        }
    }
}

fn guess(call: &Call, name: &str) -> Guess {
    let key = name.to_lowercase();
    Guess {
        name: if key.contains('@') {
            Name::Email(key)
        } else {
            Name::Username(key)
        },
        subject: Subject::of(name),
        origin: origin(call.client_address),
        address: call.client_address.map(|address| address.to_string()),
        caller: match &call.caller {
            Caller::User(user) => Some((Subject::of(&user.id.to_string()), change_password::ORIGIN)),
            Caller::Anonymous | Caller::Service(_) => None,
        },
    }
}

fn attempt(rpc: &Rpc, call: &Call, guess: &Guess, known: &SignIn, now: time::OffsetDateTime) -> Result<Attempt, Error> {
    let id = known.account.as_ref().map(|account| account.id);
    let is_signed_in = matches!(&call.caller, Caller::User(user) if Some(user.id) == id);
    let too_many = |retry_after| Error::TooManyAttempts { retry_after };
    // Somebody who guesses, from many addresses or from behind the same one, must not keep the
    // owner out. Who is signed in has a count of their own, since their token may be stolen.
    let (subject, address, before) = match guess.caller {
        Some((subject, origin)) if is_signed_in => (subject, origin, known.caller),
        _ => (guess.subject, guess.origin.as_str(), known.pair),
    };
    let pair = Mark::new(address, rpc.config.pair_policy(), before, now).map_err(too_many)?;
    let name = if known.is_known_address || is_signed_in {
        None
    } else {
        Some(Mark::new(ANYWHERE, rpc.config.name_policy(), known.anywhere, now).map_err(too_many)?)
    };
    Ok(Attempt { subject, pair, name })
}

/// The account, once its password has proven right; hashed anew if the hash is outdated.
async fn verify(
    rpc: &Rpc,
    call: &Call,
    attempt: &Attempt,
    found: Option<Account>,
    password: Password,
) -> Result<Account, Error> {
    // A closed account is as good as none.
    let found = found.filter(|account| account.status() != Status::Closed);
    let hash = found.as_ref().map(|account| account.password_hash.clone());
    let right = match rpc.hashing.verify(password.clone(), hash, call.deadline).await {
        Err(Error::HashingBusy) => {
            rpc.store.withdraw_attempt(attempt, &rpc.cx(call)).await?;
            return Err(Error::HashingBusy);
        }
        verified => verified?,
    };
    let Some(mut account) = found.filter(|_| right) else {
        return Err(Error::InvalidCredentials);
    };
    if account.status() == Status::Disabled {
        rpc.store.clear_attempt(attempt, &rpc.cx(call)).await?;
        return Err(Error::AccountDisabled);
    }
    if rpc.hashing.is_outdated(&account.password_hash) {
        account.password_hash = rehash(rpc, call, &account, password).await;
    }
    Ok(account)
}

/// The hash under which the store now has the password; the old one if a new one could not be made,
/// which the next login tries again.
async fn rehash(rpc: &Rpc, call: &Call, account: &Account, password: Password) -> PasswordHash {
    let old = &account.password_hash;
    let renewed = async {
        let new = rpc.hashing.hash(password, call.deadline).await?;
        rpc.store.rehash_password(account.id, old, &new, &rpc.cx(call)).await?;
        Ok::<_, Error>(new)
    };
    match renewed.await {
        Ok(new) => new,
        Err(error) => {
            tracing::warn!(%error, account_id = %account.id, "the password could not be hashed anew");
            old.clone()
        }
    }
}
