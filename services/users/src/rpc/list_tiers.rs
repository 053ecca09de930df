//! ListTiers.

use quartet_kernel::Violations;
use quartet_proto::users::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::{Page, PageRequest};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListTiersRequest,
) -> Result<pb::ListTiersResponse, Error> {
    let request = PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let list = "tiers";
    let mut violations = Violations::new();
    let page: Option<Page<String>> = Page::parse(request, list, &mut violations);
    violations.finish()?;
    let page = convert::checked(page)?;
    let rows = rpc.store.list_tiers(&page, &rpc.cx(call)).await?;
    let next_page_token = rows.next_token(list, |tier| tier.name.clone());
    Ok(pb::ListTiersResponse {
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        next_page_token,
        data: rows.rows.into_iter().map(convert::tier).collect(),
    })
}
