//! QueueStats.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Queue;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::QueueStatsRequest) -> Result<pb::QueueStatsResponse, Error> {
    let states = rpc.store.queue_states(&rpc.cx(call)).await?;
    Ok(pb::QueueStatsResponse {
        data: states.into_iter().map(convert::queue).collect(),
    })
}

impl Rpc {
    /// How full one queue is.
    pub(super) async fn queue(&self, queue: Queue, call: &Call) -> Result<pb::Queue, Error> {
        let states = self.store.queue_states(&self.cx(call)).await?;
        let state = states.into_iter().find(|state| state.queue == queue);
        Ok(convert::queue(convert::checked(state)?))
    }
}
