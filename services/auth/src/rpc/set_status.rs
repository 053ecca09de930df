//! SetStatus.

use quartet_kernel::{Violations, id};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::store::AccountChange;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::SetStatusRequest) -> Result<pb::Account, Error> {
    let mut violations = Violations::new();
    let id = violations.check("account_id", id::parse(&request.account_id));
    let disabled = violations.check("status", convert::disabled(request.status));
    violations.finish()?;
    let (id, disabled) = (convert::checked(id)?, convert::checked(disabled)?);
    let change = AccountChange::Disabled(disabled);
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let changed = rpc.store.change_account(id, change, &cx).await?;
    let (account, _) = changed.ok_or(Error::AccountNotFound { id })?;
    Ok(convert::account(&account))
}
