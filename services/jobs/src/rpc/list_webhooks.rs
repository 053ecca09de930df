//! ListWebhooks.

use quartet_kernel::Violations;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::PageRequest;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Key;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListWebhooksRequest,
) -> Result<pb::ListWebhooksResponse, Error> {
    let owner = call.user()?.id;
    let signature = format!("webhooks of {owner}");
    let mut violations = Violations::new();
    let page = PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = convert::page(page, &signature, &mut violations);
    violations.finish()?;
    let page = convert::checked(page)?;
    let rows = rpc.store.list_webhooks(owner, &page, &rpc.cx(call)).await?;
    Ok(pb::ListWebhooksResponse {
        next_page_token: rows.next_token(&signature, |webhook| Key(webhook.id)),
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        data: rows.rows.into_iter().map(convert::webhook).collect(),
    })
}
