//! CreateTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::CreateTaskRequest) -> Result<pb::Task, Error> {
    let cx = rpc.cx(call);
    let user = call.user()?;
    let job = convert::new_job(&request, user, rpc.clock.new_id(), cx.now)?;
    let job = job.in_lane(rpc.quotas.lanes(user).of_owner(user.id));
    let (job, _) = rpc.store.insert_job(&job, &cx).await?;
    Ok(rpc.task(job, user))
}
