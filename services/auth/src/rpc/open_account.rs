//! OpenAccount.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::register::{self, Wanted};
use super::{Rpc, convert};
use crate::Error;
use crate::domain::Account;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::OpenAccountRequest) -> Result<pb::Account, Error> {
    let wanted = Wanted::parse(&request.name, &request.username, &request.email, &request.password)?;
    // Superusers see every account.
    let new = register::account(rpc, call, wanted, false).await?;
    let cx = rpc.cx(call);
    rpc.store
        .insert_account(&new, None, &convert::languages(call), &cx)
        .await?;
    Ok(convert::account(&Account::opened(new, cx.now)))
}
