//! SubmitTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::SubmitTaskRequest,
) -> Result<pb::SubmitTaskResponse, Error> {
    let cx = rpc.cx(call);
    let job = convert::submitted(&request, rpc.clock.new_id(), cx.now)?;
    let (job, _) = rpc.store.insert_job(&job, &cx).await?;
    Ok(pb::SubmitTaskResponse {
        task_id: job.id.to_string(),
    })
}
