//! ListSchedules.

use quartet_kernel::Violations;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::{MAX_SIZE, Page, PageRequest};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListSchedulesRequest,
) -> Result<pb::ListSchedulesResponse, Error> {
    let list = "schedules";
    let page = PageRequest {
        page: request.page,
        // The list once had no pages: whoever names no size gets as many as a page may have.
        items_per_page: request.items_per_page.or(Some(MAX_SIZE)),
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let mut violations = Violations::new();
    let page: Option<Page<String>> = Page::parse(page, list, &mut violations);
    violations.finish()?;
    let page = convert::checked(page)?;
    let rows = rpc.store.list_schedules(&page, &rpc.cx(call)).await?;
    Ok(pb::ListSchedulesResponse {
        next_page_token: rows.next_token(list, |schedule| schedule.name.clone()),
        total_count: rows.total,
        has_more: rows.has_more,
        page: page.number(),
        items_per_page: page.size,
        data: rows.rows.into_iter().map(convert::schedule).collect(),
    })
}
