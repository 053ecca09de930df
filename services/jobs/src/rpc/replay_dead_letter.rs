//! ReplayDeadLetter.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::ReplayDeadLetterRequest) -> Result<pb::Task, Error> {
    let id = convert::id("task_id", &request.task_id)?;
    let job = rpc
        .store
        .replay_job(id, rpc.quotas.lanes_of_repair(), &rpc.cx(call))
        .await?;
    Ok(rpc.task(job.ok_or(Error::TaskNotFound { id })?, call.user()?))
}
