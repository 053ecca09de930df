//! RequestEmailVerification.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{MailRequest, Purpose};

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::RequestEmailVerificationRequest) -> Result<(), Error> {
    let (id, cx) = (call.user()?.id, rpc.cx(call));
    let account = rpc.store.find_account(id, &cx).await?;
    let account = account.ok_or(Error::AccountNotFound { id })?;
    if account.email_verified && account.pending_email.is_none() {
        return Err(Error::EmailAlreadyVerified);
    }
    let pending = account.pending_email.map(|email| (Purpose::EmailChange, email));
    let own = (!account.email_verified).then_some((Purpose::EmailVerification, account.email));
    let requests: Vec<MailRequest> = pending
        .into_iter()
        .chain(own)
        .map(|(purpose, email)| MailRequest {
            id: rpc.clock.new_id(),
            purpose,
            email_key: email.to_lowercase(),
            account_id: Some(id),
        })
        .collect();
    rpc.store.request_mails(&requests, convert::language(call), &cx).await
}
