//! Login.

use std::time::Duration;

use quartet_kernel::{Deadline, Email, Rule, Violations, text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, Caller};
use quartet_telemetry::metrics::AUTH_SIGN_INS;
use uuid::Uuid;

use super::{IssuedDevice, Rpc, convert};
use crate::Error;
use crate::domain::throttle::{ANYWHERE, Attempt, Mark, Subject, WITH_SESSION, origin};
use crate::domain::{Account, Assurance, Device, EventKind, Password, PasswordHash, Status};
use crate::store::{Guess, Name, SignIn};
use crate::tokens::Pair;

/// Time to take an attempt back in, when the caller has none left.
const WITHDRAWAL: Duration = Duration::from_secs(5);

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::LoginRequest) -> Result<pb::TokenResponse, Error> {
    let credentials = Credentials {
        name: name(&request)?,
        password: ("password", &request.password),
        device_token: match request.device_cookie.as_deref() {
            Some(cookie) if request.device_token.is_empty() => ("device_cookie", cookie),
            _ => ("device_token", &request.device_token),
        },
        client: None,
    };
    let (pair, device) = sign_in(rpc, call, credentials).await?;
    Ok(convert::tokens(&pair, Some(&device), request.use_cookie))
}

/// The one of the three names that is given.
fn name(request: &pb::LoginRequest) -> Result<(&'static str, &str), Error> {
    let names = [
        ("username_or_email", request.username_or_email.as_str()),
        ("username", &request.username),
        ("email", &request.email),
    ];
    let mut given = names.into_iter().filter(|(_, name)| !name.is_empty());
    match (given.next(), given.next()) {
        // None is the first one that is missing.
        (None, _) => Ok(names[0]),
        (Some(name), None) => Ok(name),
        (Some((other, _)), Some((field, _))) => {
            let rule = Rule::new("ONE_OF", format!("cannot be given together with `{other}`"));
            Err(violations::one(field, rule).into())
        }
    }
}

/// What somebody signs in with. The name and the password have the names of their fields.
pub(super) struct Credentials<'a> {
    pub(super) name: (&'static str, &'a str),
    pub(super) password: (&'static str, &'a str),
    /// Empty for none.
    pub(super) device_token: (&'static str, &'a str),
    /// The OAuth 2.0 client that the session is for, if one is configured.
    pub(super) client: Option<String>,
}

/// Opens a session for whoever has the password of the name.
pub(super) async fn sign_in(
    rpc: &Rpc,
    call: &Call,
    credentials: Credentials<'_>,
) -> Result<(Pair, IssuedDevice), Error> {
    count(try_sign_in(rpc, call, credentials).await)
}

/// Counts how an attempt to sign in has ended.
pub(super) fn count<T>(signed_in: Result<T, Error>) -> Result<T, Error> {
    let outcome = match &signed_in {
        Ok(_) => "ok",
        Err(Error::InvalidCredentials) => "wrong_password",
        Err(Error::MfaRequired { .. }) => "mfa_required",
        Err(Error::WrongCode | Error::InvalidChallenge) => "wrong_code",
        Err(Error::AccountDisabled) => "disabled",
        Err(Error::TooManyAttempts { .. } | Error::HashingBusy) => "throttled",
        Err(_) => "failed",
    };
    metrics::counter!(AUTH_SIGN_INS, "outcome" => outcome).increment(1);
    signed_in
}

async fn try_sign_in(rpc: &Rpc, call: &Call, credentials: Credentials<'_>) -> Result<(Pair, IssuedDevice), Error> {
    let Credentials {
        name: (name_field, name),
        password: (password_field, password),
        device_token: (device_field, device_token),
        client,
    } = credentials;
    let mut violations = Violations::new();
    let name = violations.check(name_field, text::required(name.trim(), Email::MAX));
    let password = violations.check(password_field, Password::presented(password));
    violations.check(device_field, text::length(device_token, 0, convert::MAX_TOKEN));
    violations.finish()?;
    let (name, password) = (convert::checked(name)?, convert::checked(password)?);

    // What is no valid token is as good as none.
    let device = rpc
        .device_key
        .verify(device_token, rpc.config.device_token_ttl.0, rpc.clock.now());
    let (attempt, found) = begin(rpc, call, name, device).await?;
    let (found, has_second_factor) = found;
    let account = verify(rpc, call, &attempt, found, password).await?;
    let cx = rpc.cx(call);
    if has_second_factor {
        rpc.store.clear_attempt(&attempt, &cx).await?;
        let challenge = rpc
            .factor_key
            .challenge(account.id, &account.password_hash, client.as_deref(), cx.now);
        return Err(Error::MfaRequired { challenge });
    }
    let opening = Opening {
        assurance: Assurance::Password,
        device,
        client,
    };
    open(rpc, call, &account, &attempt, opening).await
}

/// A session to be opened.
pub(super) struct Opening {
    /// How well its owner has proven who they are.
    pub(super) assurance: Assurance,
    /// The device that they came with.
    pub(super) device: Option<Device>,
    /// The OAuth 2.0 client that it is for.
    pub(super) client: Option<String>,
}

/// Opens a session of `account`, whose owner has proven who they are, and clears the attempt.
pub(super) async fn open(
    rpc: &Rpc,
    call: &Call,
    account: &Account,
    attempt: &Attempt,
    opening: Opening,
) -> Result<(Pair, IssuedDevice), Error> {
    let Opening {
        assurance,
        device,
        client,
    } = opening;
    let cx = rpc.cx(call);
    let (mut session, token) = rpc.new_session(call, account.id, assurance, cx.now);
    session.session.client_id = client;
    let limit = rpc.config.sessions_per_user.of(account.tier.as_deref());
    let opened = rpc
        .store
        .open_session(&session, &account.password_hash, attempt, limit, &cx)
        .await?;
    let account = opened.ok_or(Error::InvalidCredentials)?;
    let device = rpc.issue_device(account.id, device, cx.now);
    let pair = rpc.issue(call, &account, &session.session, token).await?;
    Ok((pair, device))
}

/// Counts the attempt before its password is checked, for names with and without an account alike.
/// Where another attempt gets in between, its count is read first.
async fn begin(
    rpc: &Rpc,
    call: &Call,
    name: &str,
    device: Option<Device>,
) -> Result<(Attempt, (Option<Account>, bool)), Error> {
    let guess = guess(call, name, device, rpc.config.hides_accounts());
    loop {
        let cx = rpc.cx(call);
        let known = rpc.store.find_sign_in(&guess, &cx).await?;
        let attempt = attempt(rpc, call, &guess, &known, cx.now)?;
        if rpc.store.count_attempt(&attempt, &cx).await? {
            return Ok((attempt, (known.account, known.has_second_factor)));
        }
    }
}

fn guess(call: &Call, name: &str, device: Option<Device>, hides: bool) -> Guess {
    let key = name.to_lowercase();
    Guess {
        nobody: Subject::of(name),
        name: match (key.contains('@'), hides) {
            (false, _) => Name::Username(key),
            (true, false) => Name::Email(key),
            // Whoever has registered with an address that is not theirs would learn by signing in with it
            // whether it was taken.
            (true, true) => Name::ProvenEmail(key),
        },
        origin: origin(call.client_address),
        address: call.client_address.map(|address| address.to_string()),
        caller: match &call.caller {
            Caller::User(_) => Some(WITH_SESSION),
            Caller::Anonymous | Caller::Service(_) => None,
        },
        device,
    }
}

fn attempt(rpc: &Rpc, call: &Call, guess: &Guess, known: &SignIn, now: time::OffsetDateTime) -> Result<Attempt, Error> {
    let config = &rpc.config;
    let id = known.account.as_ref().map(|account| account.id);
    let subject = guess.subject(known.account.as_ref());
    let mark = |subject, address: &str, policy, before| {
        Mark::new(subject, address, policy, before, now).map_err(|retry_after| Error::TooManyAttempts { retry_after })
    };
    // Somebody who guesses, from many addresses or from behind the same one, must not keep the
    // owner out. Who is signed in, or on a device of theirs, has a count of their own, since what
    // proves that may be stolen.
    let is_signed_in = matches!(&call.caller, Caller::User(user) if Some(user.id) == id);
    let own = match (guess.caller, guess.device) {
        (Some(sessions), _) if is_signed_in => Some((sessions.to_owned(), known.caller)),
        (_, Some(device)) if Some(device.account_id) == id => Some((device.address(), known.device)),
        _ => None,
    };
    if let Some((address, before)) = own {
        return Ok(Attempt {
            pair: mark(subject, &address, config.pair_policy(), before)?,
            name: None,
            origin: None,
        });
    }
    let name = if known.is_known_address {
        None
    } else {
        Some(mark(subject, ANYWHERE, config.name_policy(), known.anywhere)?)
    };
    Ok(Attempt {
        pair: mark(subject, &guess.origin, config.pair_policy(), known.pair)?,
        name,
        origin: Some(mark(
            Subject::AnyName,
            &guess.origin,
            config.address_policy(),
            known.origin,
        )?),
    })
}

/// Takes back an attempt whose password was not checked after all. It goes on when the caller's time
/// is over, or the caller gone: neither is a failed attempt.
pub(super) async fn withdraw(rpc: &Rpc, call: &Call, attempt: &Attempt) {
    let (store, attempt) = (rpc.store.clone(), attempt.clone());
    let mut cx = rpc.cx(call);
    cx.deadline = cx.deadline.max(Deadline::after(WITHDRAWAL));
    let withdrawal = tokio::spawn(async move {
        if let Err(error) = store.withdraw_attempt(&attempt, &cx).await {
            tracing::warn!(%error, "an attempt that was not made still counts as failed");
        }
    });
    // Its only failure is a panic, which is logged where panics are.
    let _ = withdrawal.await;
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
    let id = found.as_ref().map(|account| account.id);
    let origin = origin(call.client_address);
    let right = match rpc.hashing.verify(password.clone(), hash, &origin, call.deadline).await {
        Ok(right) => right,
        Err(error) => {
            withdraw(rpc, call, attempt).await;
            return Err(error);
        }
    };
    let Some(mut account) = found.filter(|_| right) else {
        record_failure(rpc, call, id, attempt, EventKind::LoginFail, "password").await;
        return Err(Error::InvalidCredentials);
    };
    if account.status() == Status::Disabled {
        rpc.store.clear_attempt(attempt, &rpc.cx(call)).await?;
        return Err(Error::AccountDisabled);
    }
    if rpc.hashing.is_outdated(&account.password_hash) {
        account.password_hash = rehash(rpc, call, &account, password, &origin).await;
    }
    Ok(account)
}

/// Records that an attempt has failed, and that it is the one from which on others are delayed.
pub(super) async fn record_failure(
    rpc: &Rpc,
    call: &Call,
    account_id: Option<Uuid>,
    attempt: &Attempt,
    kind: EventKind,
    detail: &str,
) {
    let cx = rpc.cx(call);
    let is_delayed = attempt.marks().any(|mark| mark.after.blocked_until > cx.now);
    let events = [(kind, detail), (EventKind::LoginLock, detail)];
    let events = if is_delayed { &events[..] } else { &events[..1] };
    if let Err(error) = rpc.store.record_events(account_id, events, &cx).await {
        // It is refused all the same.
        tracing::warn!(%error, "a failed login could not be recorded");
    }
}

/// The hash under which the store now has the password; the old one if a new one could not be made,
/// which the next login tries again.
async fn rehash(rpc: &Rpc, call: &Call, account: &Account, password: Password, origin: &str) -> PasswordHash {
    let old = &account.password_hash;
    let renewed = async {
        let new = rpc.hashing.hash(password.clone(), origin, call.deadline).await?;
        if rpc.store.rehash_password(account.id, old, &new, &rpc.cx(call)).await? {
            return Ok(new);
        }
        // Another login has hashed it anew meanwhile, or the password is another one now.
        let current = rpc.store.find_account(account.id, &rpc.cx(call)).await?;
        let current = current.map_or_else(|| old.clone(), |account| account.password_hash);
        let hash = Some(current.clone());
        let is_same = rpc.hashing.verify(password, hash, origin, call.deadline).await?;
        Ok::<_, Error>(if is_same { current } else { old.clone() })
    };
    match renewed.await {
        Ok(new) => new,
        Err(error) => {
            tracing::warn!(%error, account_id = %account.id, "the password could not be hashed anew");
            old.clone()
        }
    }
}
