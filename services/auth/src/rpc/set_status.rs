//! SetStatus.

use quartet_kernel::{Violations, id};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::EndReason;
use crate::store::AccountChange;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::SetStatusRequest>) -> Result<Response<pb::Account>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let mut violations = Violations::new();
    let id = violations.check("account_id", id::parse(&asked.account_id));
    let disabled = violations.check("status", convert::disabled(asked.status));
    violations.finish()?;
    let (id, disabled) = (convert::checked(id)?, convert::checked(disabled)?);
    let ending = rpc.ending(EndReason::Account);
    let changed = rpc
        .store
        .change_account(id, AccountChange::Disabled(disabled), ending, call.deadline)
        .await?;
    let (account, ended) = changed.ok_or(Error::AccountNotFound { id })?;
    rpc.ended.tell(ended);
    Ok(Response::new(convert::account(&account)))
}
