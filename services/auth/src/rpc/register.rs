//! Register.

use quartet_kernel::{DisplayName, Email, Role, Username, Violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Account, NewAccount, Owner, Password};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::RegisterRequest,
) -> Result<pb::RegisterResponse, Error> {
    let mut violations = Violations::new();
    let name = violations.check("name", DisplayName::optional(&request.name));
    let username = violations.check("username", Username::parse(&request.username));
    let email = violations.check("email", Email::parse(&request.email));
    let owner = Owner {
        name: name.as_ref().and_then(Option::as_ref),
        username: username.as_ref(),
        email: email.as_ref(),
    };
    let password = violations.check("password", Password::chosen(&request.password, &owner));
    violations.finish()?;
    let (username, email) = (convert::checked(username)?, convert::checked(email)?);

    // A name that is taken is not worth a hash; the store decides all the same.
    let holders = rpc
        .store
        .find_holders(username.as_str(), &email.key(), &rpc.cx(call))
        .await?;
    if holders.iter().any(|account| account.username == username.as_str()) {
        return Err(Error::UsernameTaken);
    }
    if !holders.is_empty() {
        return Err(Error::EmailTaken);
    }
    let password_hash = rpc.hashing.hash(convert::checked(password)?, call.deadline).await?;
    let cx = rpc.cx(call);
    let new = NewAccount {
        id: rpc.clock.new_id(),
        username,
        email,
        email_verified: false,
        name: name.flatten().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        password_hash,
        role: Role::User,
    };
    let (session, token) = rpc.new_session(call, new.id, cx.now);
    rpc.store
        .insert_account(&new, Some(&session), &convert::languages(call), &cx)
        .await?;
    let account = Account::opened(new, cx.now);
    let pair = rpc.issue(call, &account, &session.session, token).await?;
    Ok(convert::registered(&account, &pair, request.use_cookie))
}
