//! UpdateAccount.

use quartet_kernel::{Email, Username, Violations, id};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateAccountRequest) -> Result<pb::Account, Error> {
    let mut violations = Violations::new();
    let id = violations.check("account_id", id::parse(&request.account_id));
    let username = request.username.as_deref().map(Username::parse).transpose();
    let username = violations.check("username", username);
    let email = request.email.as_deref().map(Email::parse).transpose();
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
            rpc.config.hides_accounts(),
            &convert::languages(call),
            &rpc.cx(call),
        )
        .await?;
    let account = renamed.ok_or(Error::AccountNotFound { id })?;
    Ok(convert::account(&account))
}
