//! UpdateAccount.

use quartet_kernel::{Email, Username, Violations, id};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::mail::languages;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::UpdateAccountRequest>,
) -> Result<Response<pb::Account>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let mut violations = Violations::new();
    let id = violations.check("account_id", id::parse(&asked.account_id));
    let username = asked.username.as_deref().map(Username::parse).transpose();
    let username = violations.check("username", username);
    let email = asked.email.as_deref().map(Email::parse).transpose();
    let email = violations.check("email", email);
    violations.finish()?;
    let id = convert::checked(id)?;
    let (username, email) = (username.flatten(), email.flatten());
    let renamed = rpc
        .store
        .rename_account(
            id,
            username.as_ref(),
            email.as_ref(),
            &languages(call),
            rpc.clock.now(),
            call.deadline,
        )
        .await?;
    rpc.postman.wake();
    let account = renamed.ok_or(Error::AccountNotFound { id })?;
    Ok(Response::new(convert::account(&account)))
}
