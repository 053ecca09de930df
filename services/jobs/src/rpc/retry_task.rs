//! RetryTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RetryTaskRequest) -> Result<pb::Task, Error> {
    let id = convert::id("task_id", &request.task_id)?;
    let user = call.user()?;
    let job = rpc
        .store
        .restart_job(user.id, id, rpc.quotas.lanes(user), &rpc.cx(call))
        .await?
        .ok_or(Error::TaskNotFound { id })?;
    Ok(rpc.task(job, user))
}
