//! RequestEmailVerification.

use quartet_kernel::Email;
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, Failure};
use tonic::{Request, Response};

use super::Rpc;
use crate::Error;
use crate::domain::Purpose;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::RequestEmailVerificationRequest>,
) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = call.user()?.id;
    let account = rpc.store.find_account(id, call.deadline).await?;
    let account = account.ok_or(Error::AccountNotFound { id })?;
    if account.email_verified && account.pending_email.is_none() {
        return Err(Error::EmailAlreadyVerified);
    }
    if let Some(pending) = &account.pending_email {
        let email = Email::parse(pending).map_err(|_| Failure::internal())?;
        rpc.postman.request(call, Purpose::EmailChange, &email).await?;
    }
    if !account.email_verified {
        let email = Email::parse(&account.email).map_err(|_| Failure::internal())?;
        rpc.postman.request(call, Purpose::EmailVerification, &email).await?;
    }
    Ok(Response::new(()))
}
