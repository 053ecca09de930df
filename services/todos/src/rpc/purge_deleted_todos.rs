//! PurgeDeletedTodos.

use quartet_kernel::{Rule, Violations};
use quartet_proto::todos::v1 as pb;
use quartet_rpc::{Call, timestamp};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::PurgeDeletedTodosRequest,
) -> Result<pb::PurgeDeletedTodosResponse, Error> {
    let body = &request;
    let mut violations = Violations::new();
    let before = timestamp::parse(body.deleted_before.as_ref()).and_then(|time| time.ok_or_else(Rule::required));
    let before = violations.check("deleted_before", before);
    if !(1..=1_000).contains(&body.limit) {
        violations.add("limit", Rule::new("INT32_RANGE", "must be between 1 and 1000"));
    }
    violations.finish()?;
    let purged = rpc
        .store
        .purge_deleted(convert::checked(before)?, body.limit.into(), &rpc.cx(call))
        .await?;
    Ok(pb::PurgeDeletedTodosResponse {
        // At most the limit, which is an `int32`.
        purged: purged as i32,
    })
}
