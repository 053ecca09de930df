//! GetMe.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetMeRequest>) -> Result<Response<pb::Account>, Error> {
    let call = Call::of(&request)?;
    let id = call.user()?.id;
    let account = rpc.store.find_account(id, call.deadline).await?;
    Ok(Response::new(convert::account(
        &account.ok_or(Error::AccountNotFound { id })?,
    )))
}
