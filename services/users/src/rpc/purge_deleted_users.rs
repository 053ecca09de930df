//! PurgeDeletedUsers.

use quartet_kernel::{Rule, Violations};
use quartet_proto::users::v1 as pb;
use quartet_rpc::{Call, Failure, timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Rpc;
use crate::{Error, detached};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::PurgeDeletedUsersRequest,
) -> Result<pb::PurgeDeletedUsersResponse, Error> {
    let pb::PurgeDeletedUsersRequest { deleted_before, limit } = request;
    let mut violations = Violations::new();
    let before = timestamp::parse(deleted_before.as_ref()).and_then(|time| time.ok_or_else(Rule::required));
    let before = violations.check("deleted_before", before);
    if !(1..=100).contains(&limit) {
        violations.add("limit", Rule::new("INT32_RANGE", "must be between 1 and 100"));
    }
    violations.finish()?;
    let before = before.ok_or_else(Failure::internal)?;

    let mut purged = 0;
    for id in rpc.store.list_deleted(before, limit.into(), &rpc.cx(call)).await? {
        let (rpc, call) = (rpc.clone(), call.clone());
        purged += i32::from(detached::run(async move { purge(&rpc, &call, id, before).await }).await?);
    }
    Ok(pb::PurgeDeletedUsersResponse { purged })
}

/// Purges one user; whether they were still deleted.
async fn purge(rpc: &Rpc, call: &Call, id: Uuid, before: OffsetDateTime) -> Result<bool, Error> {
    let Some(purge) = rpc.store.begin_purge_of_deleted(id, before, &rpc.cx(call)).await? else {
        return Ok(false);
    };
    rpc.accounts.purge(call, id).await?;
    purge.commit().await?;
    Ok(true)
}
