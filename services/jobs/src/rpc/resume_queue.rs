//! ResumeQueue.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::ResumeQueueRequest>) -> Result<Response<pb::Queue>, Error> {
    let call = Call::of(&request)?;
    let queue = convert::queue_named(&request.get_ref().queue)?;
    rpc.store.set_paused(queue, false, call.deadline).await?;
    Ok(Response::new(rpc.queue(queue, call).await?))
}
