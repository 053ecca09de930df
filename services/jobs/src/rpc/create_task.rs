//! CreateTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::CreateTaskRequest>) -> Result<Response<pb::Task>, Error> {
    let call = Call::of(&request)?;
    let now = rpc.clock.now();
    let job = convert::new_job(request.get_ref(), call.user()?, rpc.clock.new_id(), now)?;
    let (job, _) = rpc.store.insert_job(&job, now, call.deadline).await?;
    Ok(Response::new(rpc.task(job)))
}
