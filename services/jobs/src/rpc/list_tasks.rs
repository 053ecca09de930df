//! ListTasks.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Key;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListTasksRequest,
) -> Result<pb::ListTasksResponse, Error> {
    let user = call.user()?;
    let list = convert::list(user.id, &request)?;
    let rows = rpc.store.list_jobs(&list.filter, &list.page, &rpc.cx(call)).await?;
    Ok(pb::ListTasksResponse {
        next_page_token: rows.next_token(&list.signature, |job| Key(job.id)),
        total_count: rows.total,
        has_more: rows.has_more,
        page: list.page.number(),
        items_per_page: list.page.size,
        data: rows.rows.into_iter().map(|job| rpc.task(job, user)).collect(),
    })
}
