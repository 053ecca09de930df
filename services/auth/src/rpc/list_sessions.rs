//! ListSessions.

use quartet_kernel::Violations;
use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::{MAX_SIZE, Page, PageRequest};

use super::{Rpc, convert};
use crate::Error;
use crate::store::SessionKey;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListSessionsRequest,
) -> Result<pb::ListSessionsResponse, Error> {
    let user = call.user()?;
    let list = format!("sessions of {}", user.id);
    let page = PageRequest {
        page: request.page,
        // The list once had no pages: whoever names no size gets as many as there may be by
        // default.
        items_per_page: request.items_per_page.or(Some(MAX_SIZE)),
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let mut violations = Violations::new();
    let page: Option<Page<SessionKey>> = Page::parse(page, &list, &mut violations);
    violations.finish()?;
    let page = convert::checked(page)?;
    let rows = rpc.store.list_sessions(user.id, &page, &rpc.cx(call)).await?;
    Ok(pb::ListSessionsResponse {
        next_page_token: rows.next_token(&list, SessionKey::of),
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        data: rows
            .rows
            .into_iter()
            .map(|session| convert::session(session, user.session_id))
            .collect(),
    })
}
