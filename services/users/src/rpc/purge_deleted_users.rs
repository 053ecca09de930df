//! PurgeDeletedUsers.

use quartet_kernel::{Rule, Violations};
use quartet_proto::users::v1 as pb;
use quartet_rpc::{Call, Failure, timestamp};
use time::OffsetDateTime;
use tonic::{Request, Response};
use uuid::Uuid;

use super::Rpc;
use super::to_its_end::to_its_end;
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::PurgeDeletedUsersRequest>,
) -> Result<Response<pb::PurgeDeletedUsersResponse>, Error> {
    let call = Call::of(&request)?.clone();
    let asked = request.get_ref();
    let mut violations = Violations::new();
    let before = timestamp::parse(asked.deleted_before.as_ref()).and_then(|moment| moment.ok_or_else(Rule::required));
    let before = violations.check("deleted_before", before);
    if !(1..=100).contains(&asked.limit) {
        violations.add("limit", Rule::new("INT32_RANGE", "must be between 1 and 100"));
    }
    violations.finish()?;
    let before = before.ok_or_else(Failure::internal)?;

    let mut purged = 0;
    for id in rpc
        .store
        .list_deleted(before, asked.limit.into(), call.deadline)
        .await?
    {
        let (rpc, call) = (rpc.clone(), call.clone());
        purged += i32::from(to_its_end(async move { purge(&rpc, &call, id, before).await }).await?);
    }
    Ok(Response::new(pb::PurgeDeletedUsersResponse { purged }))
}

/// Purges one user; whether they were still deleted.
async fn purge(rpc: &Rpc, call: &Call, id: Uuid, before: OffsetDateTime) -> Result<bool, Error> {
    let Some(open) = rpc.store.open_purge_of_deleted(id, before, call.deadline).await? else {
        return Ok(false);
    };
    rpc.accounts.purge(call, id).await?;
    open.commit().await?;
    Ok(true)
}
