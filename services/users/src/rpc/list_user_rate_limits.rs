//! ListUserRateLimits.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::PageRequest;

use super::{Rpc, convert};
use crate::{Error, access};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListUserRateLimitsRequest,
) -> Result<pb::ListUserRateLimitsResponse, Error> {
    let id = convert::id("user_id", &request.user_id)?;
    access::owner_or_superuser(call, id)?;
    let list = format!("rate limits of the user {id}");
    let page = PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = convert::limits_page(page, &list)?;
    let rows = rpc.store.list_user_rate_limits(id, &page, &rpc.cx(call)).await?;
    Ok(pb::ListUserRateLimitsResponse {
        next_page_token: rows.next_token(&list, |limit| limit.path.clone()),
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        data: rows.rows.into_iter().map(convert::rate_limit).collect(),
    })
}
