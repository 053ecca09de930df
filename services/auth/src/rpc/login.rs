//! Login.

use quartet_kernel::{Email, Violations, text};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, Caller};
use tonic::{Request, Response};
use uuid::Uuid;

use super::{Rpc, change_password, convert};
use crate::Error;
use crate::domain::throttle::{Subject, origin};
use crate::domain::{Account, Password, PasswordHash, Status};
use crate::store::Attempt;
use crate::tokens::Pair;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::LoginRequest>,
) -> Result<Response<pb::TokenResponse>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let fields = ("username_or_email", "password");
    let pair = sign_in(rpc, call, &asked.username_or_email, &asked.password, fields).await?;
    Ok(Response::new(convert::tokens(&pair, asked.use_cookie)))
}

/// Opens a session for whoever knows the password of `name`. `fields` are what the request calls the two.
pub(super) async fn sign_in(
    rpc: &Rpc,
    call: &Call,
    name: &str,
    password: &str,
    fields: (&str, &str),
) -> Result<Pair, Error> {
    let mut violations = Violations::new();
    let name = violations.check(fields.0, text::required(name.trim(), Email::MAX));
    let password = violations.check(fields.1, Password::offered(password));
    violations.finish()?;
    let (name, password) = (convert::checked(name)?, convert::checked(password)?);

    let found = find(rpc, call, name).await?;
    let attempt = begin(rpc, call, name, found.as_ref()).await?;
    let account = verify(rpc, call, &attempt, found, password).await?;
    let now = rpc.clock.now();
    let (session, token) = rpc.new_session(call, account.id, now);
    let opened = rpc
        .store
        .insert_session(&session, &account.password_hash, call.deadline)
        .await?;
    let account = opened.ok_or(Error::InvalidCredentials)?;
    rpc.issue(call, &account, &session.session, token).await
}

async fn find(rpc: &Rpc, call: &Call, name: &str) -> Result<Option<Account>, Error> {
    let name = name.to_lowercase();
    if name.contains('@') {
        rpc.store.find_account_by_email(&name, call.deadline).await
    } else {
        rpc.store.find_account_by_username(&name, call.deadline).await
    }
}

/// Counts the attempt before its password is looked at, for names with and without an account alike.
async fn begin(rpc: &Rpc, call: &Call, name: &str, found: Option<&Account>) -> Result<Attempt, Error> {
    let id = found.map_or(Uuid::nil(), |account| account.id);
    let address = call.client_address.map(|address| address.to_string());
    let at_home = match &address {
        Some(address) => rpc.store.is_known_address(id, address, call.deadline).await?,
        None => false,
    };
    let signed_in = matches!(&call.caller, Caller::User(user) if user.id == id);
    // Somebody who guesses, from many addresses or from behind the same one, must not keep the owner out. Who is signed in has a count of their
    // own, since their token may be stolen.
    let over_all = (!at_home && !signed_in).then(|| rpc.config.name_policy());
    let (subject, origin) = match signed_in {
        true => (Subject::of(&id.to_string()), change_password::ORIGIN.to_owned()),
        false => (Subject::of(name), origin(call.client_address)),
    };
    let begun = rpc
        .store
        .begin_attempt(
            subject,
            &origin,
            rpc.config.pair_policy(),
            over_all,
            rpc.clock.now(),
            call.deadline,
        )
        .await?;
    begun.map_err(|retry_after| Error::TooManyAttempts { retry_after })
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
            rpc.store.withdraw_attempt(attempt, call.deadline).await?;
            return Err(Error::HashingBusy);
        }
        verified => verified?,
    };
    let Some(mut account) = found.filter(|_| right) else {
        return Err(Error::InvalidCredentials);
    };
    rpc.store.attempt_succeeded(attempt, call.deadline).await?;
    if account.status() == Status::Disabled {
        return Err(Error::AccountDisabled);
    }
    if rpc.hashing.is_outdated(&account.password_hash) {
        account.password_hash = rehash(rpc, call, &account, password).await;
    }
    Ok(account)
}

/// The hash under which the store now has the password; the old one if a new one could not be made, which the next login tries again.
async fn rehash(rpc: &Rpc, call: &Call, account: &Account, password: Password) -> PasswordHash {
    let old = &account.password_hash;
    let renewed = async {
        let new = rpc.hashing.hash(password, call.deadline).await?;
        rpc.store.rehash_password(account.id, old, &new, call.deadline).await?;
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
