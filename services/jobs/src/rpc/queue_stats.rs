//! QueueStats.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Queue;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::QueueStatsRequest>,
) -> Result<Response<pb::QueueStatsResponse>, Error> {
    let call = Call::of(&request)?;
    let states = rpc.store.queue_states(call.deadline).await?;
    Ok(Response::new(pb::QueueStatsResponse {
        data: states.into_iter().map(convert::queue).collect(),
    }))
}

impl Rpc {
    /// How full one queue is.
    pub(super) async fn queue(&self, queue: Queue, call: &Call) -> Result<pb::Queue, Error> {
        let states = self.store.queue_states(call.deadline).await?;
        let state = states.into_iter().find(|state| state.queue == queue);
        Ok(convert::queue(convert::checked(state)?))
    }
}
