//! PauseQueue.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::PauseQueueRequest) -> Result<pb::Queue, Error> {
    let queue = convert::queue_named(&request.queue)?;
    rpc.store.set_paused(queue, true, &rpc.cx(call)).await?;
    rpc.queue(queue, call).await
}
