//! ListWebhooks.

use quartet_kernel::Violations;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::Asked;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Key;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::ListWebhooksRequest>,
) -> Result<Response<pb::ListWebhooksResponse>, Error> {
    let call = Call::of(&request)?;
    let owner = call.user()?.id;
    let asked = request.get_ref();
    let signature = format!("webhooks of {owner}");
    let mut violations = Violations::new();
    let page = Asked {
        page: asked.page,
        items_per_page: asked.items_per_page,
        page_size: asked.page_size,
        page_token: &asked.page_token,
    };
    let page = convert::page(page, &signature, &mut violations);
    violations.finish()?;
    let page = convert::checked(page)?;
    let rows = rpc.store.list_webhooks(owner, &page, call.deadline).await?;
    Ok(Response::new(pb::ListWebhooksResponse {
        next_page_token: rows.next_token(&signature, |webhook| Key(webhook.id)),
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        data: rows.rows.into_iter().map(convert::webhook).collect(),
    }))
}
