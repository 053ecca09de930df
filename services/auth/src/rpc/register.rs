//! Register.

use quartet_kernel::{DisplayName, Email, Role, Username, Violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use quartet_rpc::idempotency::{self, Reply};
use tokio::sync::oneshot;

use super::login::Credentials;
use super::{Rpc, convert, login};
use crate::Error;
use crate::domain::throttle::origin;
use crate::domain::{Account, Assurance, NewAccount, Owner, Password, RefreshToken};
use crate::store::NewSession;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::RegisterRequest,
) -> Result<pb::RegisterResponse, Error> {
    let wanted = Wanted::parse(&request.name, &request.username, &request.email, &request.password)?;
    let use_cookie = request.use_cookie;

    // The password is no part of it: a repeat has to prove it.
    let parts = [
        wanted.name.as_bytes(),
        wanted.username.as_str().as_bytes(),
        wanted.email.as_str().as_bytes(),
    ];
    let Some(keyed) = idempotency::request_of(call, &parts) else {
        let opened = open(rpc, call, wanted).await?;
        return finish(rpc, call, opened, use_cookie).await;
    };
    let (sender, mut opened) = oneshot::channel();
    let login = wanted.username.as_str().to_owned();
    let reply: Reply<String> = idempotency::once(&*rpc.replies, call, Some(keyed), |call| async move {
        let opened = open(rpc, &call, wanted).await?;
        let id = opened.0.id.to_string();
        // It is received below.
        let _ = sender.send(opened);
        Ok::<_, Error>(id)
    })
    .await?;
    if let Ok(opened) = opened.try_recv()
        && !reply.is_replay
    {
        return finish(rpc, call, opened, use_cookie).await;
    }
    // The account was opened by an earlier request, by whoever had its password.
    let credentials = Credentials {
        name: ("username", &login),
        password: ("password", &request.password),
        device_token: ("device_token", ""),
        client: None,
    };
    let (pair, device) = login::sign_in(rpc, call, credentials).await?;
    let id = convert::id("account_id", &reply.message)?;
    let account = rpc.store.find_account(id, &rpc.cx(call)).await?;
    let account = account.ok_or(Error::AccountNotFound { id })?;
    Ok(convert::registered(&account, &pair, &device, use_cookie))
}

/// An account that was opened, with its first session.
type Opened = (Account, NewSession, RefreshToken);

/// An account as it is requested.
pub(super) struct Wanted {
    name: String,
    username: Username,
    email: Email,
    password: Password,
}

impl Wanted {
    /// Checks the fields of these names.
    pub(super) fn parse(name: &str, username: &str, email: &str, password: &str) -> Result<Self, Error> {
        let mut violations = Violations::new();
        let name = violations.check("name", DisplayName::optional(name));
        let username = violations.check("username", Username::parse(username));
        let email = violations.check("email", Email::parse(email));
        let owner = Owner {
            name: name.as_ref().and_then(Option::as_ref),
            username: username.as_ref(),
            email: email.as_ref(),
        };
        let password = violations.check("password", Password::chosen(password, &owner));
        violations.finish()?;
        Ok(Self {
            name: name.flatten().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            username: convert::checked(username)?,
            email: convert::checked(email)?,
            password: convert::checked(password)?,
        })
    }
}

/// Opens an account with its first session.
async fn open(rpc: &Rpc, call: &Call, wanted: Wanted) -> Result<Opened, Error> {
    let hides = rpc.config.hides_accounts();
    let mut new = account(rpc, call, wanted, hides).await?;
    let cx = rpc.cx(call);
    let (session, token) = rpc.new_session(call, new.id, Assurance::Password, cx.now);
    let languages = convert::languages(call);
    match rpc.store.insert_account(&new, Some(&session), &languages, &cx).await {
        // Somebody else has registered with it meanwhile.
        Err(Error::EmailTaken) if hides && new.claimed_from.is_none() => {
            let holders = rpc.store.find_holders("", &new.email.key(), &cx).await?;
            new.claimed_from = holders.first().map(|account| account.id);
            rpc.store.insert_account(&new, Some(&session), &languages, &cx).await?;
        }
        inserted => inserted?,
    }
    Ok((Account::opened(new, cx.now), session, token))
}

/// The account to open, under an id of its own. Where accounts are hidden, it claims an address that
/// another one has: the answer, its headers and the work are those of any registration.
pub(super) async fn account(rpc: &Rpc, call: &Call, wanted: Wanted, hides: bool) -> Result<NewAccount, Error> {
    let Wanted {
        name,
        username,
        email,
        password,
    } = wanted;
    // A name that is taken is not worth a hash; the store decides all the same.
    let holders = rpc
        .store
        .find_holders(username.as_str(), &email.key(), &rpc.cx(call))
        .await?;
    if holders.iter().any(|account| account.username == username.as_str()) {
        return Err(Error::UsernameTaken);
    }
    let claimed_from = holders.first().map(|account| account.id);
    if claimed_from.is_some() && !hides {
        return Err(Error::EmailTaken);
    }
    // Taken or not, an address is answered alike: the same work is done for both.
    rpc.breaches.check("password", &password, call.deadline).await?;
    let origin = origin(call.client_address);
    let password_hash = rpc.hashing.hash(password, &origin, call.deadline).await?;
    Ok(NewAccount {
        id: rpc.clock.new_id(),
        username,
        email,
        claimed_from,
        email_verified: false,
        name,
        password_hash,
        role: Role::User,
    })
}

async fn finish(
    rpc: &Rpc,
    call: &Call,
    (account, session, token): Opened,
    use_cookie: bool,
) -> Result<pb::RegisterResponse, Error> {
    let device = rpc.issue_device(account.id, None, session.session.created_at);
    let pair = rpc.issue(call, &account, &session.session, token).await?;
    Ok(convert::registered(&account, &pair, &device, use_cookie))
}
