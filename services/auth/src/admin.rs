//! What an operator does to the store from outside the running service.

use quartet_clock::Clock;
use quartet_kernel::{DisplayName, Email, Fault, Role, Username, Violations};
use quartet_store::Context;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::config::Own;
use crate::domain::{Account, Algorithm, KeyState, NewAccount, Owner, Password, PasswordHash};
use crate::hashing::{Bounds, Hashing};
use crate::key_ring;
use crate::store::Store;
use crate::{Error, domain};

/// A password that the operator gives, or a hash of one from elsewhere.
#[derive(Debug, Clone, Copy)]
pub enum Secret<'a> {
    /// A password, under the rules of registration.
    Password(&'a str),
    /// An argon2, bcrypt or sha256_crypt hash; it is replaced at the first login.
    Hash(&'a str),
}

/// An account as the operator describes it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its id, and the user's; a new one when unset.
    pub id: Option<Uuid>,
    /// The name shown to others; the user name when empty.
    pub name: &'a str,
    /// Unique name.
    pub username: &'a str,
    /// Unique address.
    pub email: &'a str,
    /// What it signs in with.
    pub secret: Secret<'a>,
    /// What it may do.
    pub role: Role,
    /// Whether the address counts as proven.
    pub email_verified: bool,
}

/// What became of an account that an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was opened.
    Opened(Account),
    /// One of that name and address was there; it was left as it is.
    Found(Account),
}

/// A signing key as it is shown: without its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Name that tokens carry.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where it stands.
    pub state: KeyState,
    /// From when it signs.
    pub active_at: OffsetDateTime,
    /// Until when it verifies, once it is replaced.
    pub expires_at: Option<OffsetDateTime>,
}

/// Makes a superuser, unless the account of that address and name is one. Idempotent.
///
/// Errors: invalid fields; [`Error::EmailTaken`] or [`Error::UsernameTaken`] for an account that is
/// another one or no superuser: anybody can register under a name before the operator comes, so
/// such an account is not raised here.
pub async fn create_superuser(
    store: &dyn Store,
    clock: &Clock,
    config: &Own,
    wanted: Wanted<'_>,
    cx: &Context,
) -> Result<Outcome, Error> {
    let wanted = Wanted {
        role: Role::Superuser,
        ..wanted
    };
    match open_account(store, clock, config, wanted, cx).await? {
        Outcome::Found(account) if account.role != Role::Superuser => Err(Error::EmailTaken),
        outcome => Ok(outcome),
    }
}

/// Opens an account with a password or with a hash from elsewhere, unless one of that address and
/// name is there. Idempotent.
///
/// Errors: invalid fields; [`Error::EmailTaken`] or [`Error::UsernameTaken`] when only one of the
/// two is there, or each at another account.
pub async fn import_account(
    store: &dyn Store,
    clock: &Clock,
    config: &Own,
    wanted: Wanted<'_>,
    cx: &Context,
) -> Result<Outcome, Error> {
    open_account(store, clock, config, wanted, cx).await
}

/// Puts a new signing key in the place of the current one. Running processes publish it at once and
/// sign with it a few seconds later; the old one verifies until the last token that it signed has
/// expired.
///
/// Errors: HS256 has no keys to rotate; another rotation is under way.
pub async fn rotate_keys(store: &dyn Store, clock: &Clock, config: &Own, cx: &Context) -> Result<KeyInfo, Error> {
    let token_life = config.access_token_ttl.0;
    let key = key_ring::rotate(store, clock, config.jwt_algorithm, token_life, cx).await?;
    Ok(info(&key, clock.now()))
}

/// Ends the signing key named `kid`, such as one that was stolen: within a second no process accepts
/// a token that it has signed. If it signs now, a new one takes its place at once; users whose tokens
/// end with it refresh them.
///
/// Errors: [`Error::KeyNotFound`]; another rotation is under way.
pub async fn revoke_key(store: &dyn Store, clock: &Clock, config: &Own, kid: &str, cx: &Context) -> Result<(), Error> {
    key_ring::revoke(store, clock, config.jwt_algorithm, kid, cx).await
}

/// Every signing key, the oldest first.
pub async fn list_keys(store: &dyn Store, cx: &Context) -> Result<Vec<KeyInfo>, Error> {
    let keys = store.list_keys(cx).await?;
    Ok(keys.iter().map(|key| info(key, cx.now)).collect())
}

fn info(key: &domain::SigningKey, now: OffsetDateTime) -> KeyInfo {
    KeyInfo {
        kid: key.kid.clone(),
        algorithm: key.algorithm,
        state: key.state(now),
        active_at: key.active_at,
        expires_at: key.expires_at,
    }
}

async fn open_account(
    store: &dyn Store,
    clock: &Clock,
    config: &Own,
    wanted: Wanted<'_>,
    cx: &Context,
) -> Result<Outcome, Error> {
    let mut violations = Violations::new();
    let name = violations.check("name", DisplayName::optional(wanted.name));
    let username = violations.check("username", Username::parse(wanted.username));
    let email = violations.check("email", Email::parse(wanted.email));
    let owner = Owner {
        name: name.as_ref().and_then(Option::as_ref),
        username: username.as_ref(),
        email: email.as_ref(),
    };
    let (password, hash) = match wanted.secret {
        Secret::Password(text) => (violations.check("password", Password::chosen(text, &owner)), None),
        Secret::Hash(text) => (None, violations.check("password_hash", PasswordHash::imported(text))),
    };
    violations.finish()?;
    let (Some(name), Some(username), Some(email)) = (name, username, email) else {
        // `finish` has refused whatever is missing.
        return Err(Fault::Internal.into());
    };

    let mut username_taken = false;
    for account in store.find_holders(username.as_str(), &email.key(), cx).await? {
        let has_name = account.username == username.as_str();
        let has_email = account.email.to_lowercase() == email.key();
        // Half of it is somebody else's: the caller must not take their account for the one that is
        // wanted.
        match (has_name, has_email) {
            (true, true) => return Ok(Outcome::Found(account)),
            (_, true) => return Err(Error::EmailTaken),
            (true, false) => username_taken = true,
            (false, false) => {}
        }
    }
    if username_taken {
        return Err(Error::UsernameTaken);
    }
    let password_hash = match (hash, password) {
        (Some(hash), _) => hash,
        (None, Some(password)) => {
            let alone = Bounds {
                concurrency: 1,
                waiting: 0,
                share: 1,
            };
            let hashing = Hashing::new(clock.clone(), config.hardness(), alone).map_err(Error::Hashing)?;
            hashing.hash(password, "", cx.deadline).await?
        }
        (None, None) => return Err(Fault::Internal.into()),
    };
    let new = NewAccount {
        id: wanted.id.unwrap_or_else(|| clock.new_id()),
        username,
        email,
        claimed_from: None,
        email_verified: wanted.email_verified,
        name: name.map(|name| name.as_str().to_owned()).unwrap_or_default(),
        password_hash,
        role: wanted.role,
    };
    store.insert_account(&new, None, "", cx).await?;
    Ok(Outcome::Opened(Account::opened(new, cx.now)))
}
