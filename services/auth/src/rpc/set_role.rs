//! SetRole.

use quartet_kernel::{Violations, id};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::domain::EndReason;
use crate::store::AccountChange;
use crate::{Error, users};

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::SetRoleRequest>) -> Result<Response<pb::Account>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let mut violations = Violations::new();
    let id = violations.check("account_id", id::parse(&asked.account_id));
    let role = violations.check("role", convert::role(asked.role));
    violations.finish()?;
    let (id, role) = (convert::checked(id)?, convert::checked(role)?);
    let changed = rpc
        .store
        .change_account(
            id,
            AccountChange::Role(role),
            rpc.ending(EndReason::Account),
            call.deadline,
        )
        .await?;
    let (account, ended) = changed.ok_or(Error::AccountNotFound { id })?;
    rpc.ended.tell(ended);
    // Best effort, so that the user's copy shows the role at once; the next login does it otherwise.
    users::ensure(&rpc.users, call, &account).await;
    Ok(Response::new(convert::account(&account)))
}
