//! ListRateLimits.

use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::PageRequest;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListRateLimitsRequest,
) -> Result<pb::ListRateLimitsResponse, Error> {
    let tier = convert::requested_tier("tier_name", &request.tier_name)?;
    let list = format!("rate limits of the tier {}", tier.as_str());
    let page = PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = convert::limits_page(page, &list)?;
    let rows = rpc.store.list_rate_limits(&tier, &page, &rpc.cx(call)).await?;
    Ok(pb::ListRateLimitsResponse {
        next_page_token: rows.next_token(&list, |limit| limit.path.clone()),
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        data: rows.rows.into_iter().map(convert::rate_limit).collect(),
    })
}
