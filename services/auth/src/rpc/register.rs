//! Register.

use quartet_kernel::{DisplayName, Email, Role, Username, Violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Account, NewAccount, Owner, Password};
use crate::mail::languages;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::RegisterRequest>,
) -> Result<Response<pb::RegisterResponse>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let mut violations = Violations::new();
    let name = violations.check("name", DisplayName::optional(&asked.name));
    let username = violations.check("username", Username::parse(&asked.username));
    let email = violations.check("email", Email::parse(&asked.email));
    let owner = Owner {
        name: name.as_ref().and_then(Option::as_ref),
        username: username.as_ref(),
        email: email.as_ref(),
    };
    let password = violations.check("password", Password::chosen(&asked.password, &owner));
    violations.finish()?;
    let (username, email) = (convert::checked(username)?, convert::checked(email)?);

    // A name that is taken is not worth a hash; the store decides all the same.
    if rpc
        .store
        .find_account_by_username(username.as_str(), call.deadline)
        .await?
        .is_some()
    {
        return Err(Error::UsernameTaken);
    }
    if rpc
        .store
        .find_account_by_email(&email.key(), call.deadline)
        .await?
        .is_some()
    {
        return Err(Error::EmailTaken);
    }
    let password_hash = rpc.hashing.hash(convert::checked(password)?, call.deadline).await?;
    let now = rpc.clock.now();
    let new = NewAccount {
        id: rpc.clock.new_id(),
        username,
        email,
        email_verified: false,
        name: name.flatten().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        password_hash,
        role: Role::User,
    };
    let (session, token) = rpc.new_session(call, new.id, now);
    rpc.store
        .insert_account(&new, Some(&session), &languages(call), now, call.deadline)
        .await?;
    rpc.postman.wake();
    let account = Account::opened(new, now);
    let pair = rpc.issue(call, &account, &session.session, token).await?;
    Ok(Response::new(convert::registered(&account, &pair, asked.use_cookie)))
}
