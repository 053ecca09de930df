//! PurgeDeletedTodos.

use quartet_kernel::{Rule, Violations};
use quartet_proto::todos::v1 as pb;
use quartet_rpc::{Call, moment};
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::PurgeDeletedTodosRequest>,
) -> Result<Response<pb::PurgeDeletedTodosResponse>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let mut violations = Violations::new();
    let before = moment::parse(asked.deleted_before.as_ref()).and_then(|moment| moment.ok_or_else(Rule::required));
    let before = violations.check("deleted_before", before);
    if !(1..=1_000).contains(&asked.limit) {
        violations.add("limit", Rule::new("INT32_RANGE", "must be between 1 and 1000"));
    }
    violations.finish()?;
    let purged = rpc
        .store
        .purge_deleted(
            convert::checked(before)?,
            asked.limit.into(),
            rpc.clock.now(),
            call.deadline,
        )
        .await?;
    Ok(Response::new(pb::PurgeDeletedTodosResponse {
        // At most the limit, which is an `int32`.
        purged: purged as i32,
    }))
}
