//! ListSchedules.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::ListSchedulesRequest>,
) -> Result<Response<pb::ListSchedulesResponse>, Error> {
    let call = Call::of(&request)?;
    let schedules = rpc.store.list_schedules(call.deadline).await?;
    Ok(Response::new(pb::ListSchedulesResponse {
        data: schedules.into_iter().map(convert::schedule).collect(),
    }))
}
