//! CancelTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::CancelTaskRequest>) -> Result<Response<pb::Task>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("task_id", &request.get_ref().task_id)?;
    let owner = call.user()?.id;
    let job = rpc
        .store
        .cancel_job(owner, id, rpc.clock.now(), call.deadline)
        .await?
        .ok_or(Error::TaskNotFound { id })?;
    rpc.changes.announce(id);
    Ok(Response::new(rpc.task(job)))
}
