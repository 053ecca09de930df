//! GetContact.

use async_trait::async_trait;
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::contact_service_server::ContactService;
use quartet_rpc::Call;
use tonic::{Request, Response, Status as GrpcStatus};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Status;

#[async_trait]
impl ContactService for Rpc {
    async fn get_contact(&self, request: Request<pb::GetContactRequest>) -> Result<Response<pb::Contact>, GrpcStatus> {
        Ok(handle(self, request).await?)
    }
}

async fn handle(rpc: &Rpc, request: Request<pb::GetContactRequest>) -> Result<Response<pb::Contact>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("account_id", &request.get_ref().account_id)?;
    let account = rpc.store.find_account(id, call.deadline).await?;
    let account = account.ok_or(Error::AccountNotFound { id })?;
    Ok(Response::new(pb::Contact {
        account_id: id.to_string(),
        name: account.name_or_username().to_owned(),
        active: account.status() == Status::Active,
        email_verified: account.email_verified,
        email: account.email,
    }))
}
