//! GetContact.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Status;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetContactRequest) -> Result<pb::Contact, Error> {
    let id = convert::id("account_id", &request.account_id)?;
    let account = rpc.store.find_account(id, &rpc.cx(call)).await?;
    let account = account.ok_or(Error::AccountNotFound { id })?;
    Ok(pb::Contact {
        account_id: id.to_string(),
        name: account.name_or_username().to_owned(),
        active: account.status() == Status::Active,
        email_verified: account.email_verified,
        email: account.email,
    })
}
