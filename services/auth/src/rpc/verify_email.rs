//! VerifyEmail.

use quartet_kernel::{text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::domain::{Account, MailToken};
use crate::{Error, users};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::VerifyEmailRequest) -> Result<(), Error> {
    text::required(&request.token, convert::MAX_TOKEN).map_err(|rule| violations::one("token", rule))?;
    let token = MailToken::parse(&request.token).ok_or(Error::InvalidVerificationToken)?;
    let proven = rpc
        .store
        .verify_email(token.hash(), convert::language(call), &rpc.cx(call))
        .await?
        .ok_or(Error::InvalidVerificationToken)?;
    if proven.moved {
        show(rpc, call, proven.account).await;
    }
    Ok(())
}

/// Has the users service show the address that the account has now.
pub(super) async fn show(rpc: &Rpc, call: &Call, account: Account) {
    // Best effort, so that the user's copy shows the address at once; the next login does it
    // otherwise.
    match &call.scope {
        None => {
            users::ensure(&rpc.users, call, &account).await;
        }
        // Nothing is moved before the commit, which also holds the account's row until then.
        Some(scope) => {
            let (users, call) = (rpc.users.clone(), call.clone());
            let ensure = async move { users::ensure(&users, &call, &account).await };
            scope.after_commit(async move || {
                tokio::spawn(ensure);
            });
        }
    }
}
