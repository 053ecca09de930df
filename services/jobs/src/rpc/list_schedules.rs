//! ListSchedules.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    _: pb::ListSchedulesRequest,
) -> Result<pb::ListSchedulesResponse, Error> {
    let schedules = rpc.store.list_schedules(&rpc.cx(call)).await?;
    Ok(pb::ListSchedulesResponse {
        data: schedules.into_iter().map(convert::schedule).collect(),
    })
}
