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
    let mut requests = Vec::new();
    let requested = account.pending_email.as_ref();
    let key = requested.unwrap_or(&account.email).to_lowercase();
    // Read in any case: nothing but this tells a claim from an account that holds its address.
    let holders = match rpc.config.hides_accounts() {
        true => rpc.store.find_holders("", &key, &cx).await?,
        false => Vec::new(),
    };
    if requested.is_some() {
        // The owner of an address that is taken gets no link that could not work. One that the account
        // itself has had is not.
        requests.push(match holders.iter().any(|holder| holder.id != id) {
            true => MailRequest::of_taken(rpc.clock.new_id(), key, Some(id)),
            false => MailRequest::to_account(rpc.clock.new_id(), Purpose::EmailChange, key, id),
        });
    }
    if !account.email_verified && account.holds_email {
        let key = account.email.to_lowercase();
        requests.push(MailRequest::to_account(
            rpc.clock.new_id(),
            Purpose::EmailVerification,
            key,
            id,
        ));
    }
    rpc.store.request_mails(&requests, convert::language(call), &cx).await
}
