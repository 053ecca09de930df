//! SetRole.

use quartet_kernel::{Violations, id};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::store::AccountChange;
use crate::{Error, users};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::SetRoleRequest) -> Result<pb::Account, Error> {
    let mut violations = Violations::new();
    let id = violations.check("account_id", id::parse(&request.account_id));
    let role = violations.check("role", convert::role(request.role));
    violations.finish()?;
    let (id, role) = (convert::checked(id)?, convert::checked(role)?);
    let change = AccountChange::Role(role);
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let changed = rpc.store.change_account(id, change, &cx).await?;
    let (account, _) = changed.ok_or(Error::AccountNotFound { id })?;
    // Best effort, so that the user's copy shows the role at once; the next login does it
    // otherwise.
    users::ensure(&rpc.users, call, &account).await;
    Ok(convert::account(&account))
}
