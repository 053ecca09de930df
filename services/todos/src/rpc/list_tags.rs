//! ListTags.

use quartet_kernel::Violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::{Page, PageRequest};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListTagsRequest,
) -> Result<pb::ListTagsResponse, Error> {
    let owner = call.user()?.id;
    let pb::ListTagsRequest {
        page,
        items_per_page,
        page_token,
        page_size,
    } = &request;
    let body = PageRequest {
        page: *page,
        items_per_page: *items_per_page,
        page_size: *page_size,
        page_token,
    };
    let list = format!("tags of {owner}");
    let mut violations = Violations::new();
    let page: Option<Page<String>> = Page::parse(body, &list, &mut violations);
    violations.finish()?;
    let page = convert::checked(page)?;
    let rows = rpc.store.list_tags(owner, &page, &rpc.cx(call)).await?;
    let next_page_token = rows.next_token(&list, |tag| tag.name.clone());
    Ok(pb::ListTagsResponse {
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        next_page_token,
        data: rows.rows.into_iter().map(convert::tag).collect(),
    })
}
