//! ExportTodos.

use quartet_kernel::{Violations, id};
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use quartet_store::page::{Page, PageRequest};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Filter, Key, Order, Sort};

/// The oldest first: what is made while an export goes on comes last, so no page shifts.
const ORDER: Order = Order {
    sort: Sort::CreatedAt,
    descending: false,
};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ExportTodosRequest,
) -> Result<pb::ExportTodosResponse, Error> {
    let body = &request;
    let mut violations = Violations::new();
    let owner = violations.check("user_id", id::parse(&body.user_id));
    let signature = format!("export of {}", body.user_id);
    let page = PageRequest {
        page: None,
        items_per_page: None,
        page_size: body.page_size,
        page_token: &body.page_token,
    };
    let page: Option<Page<Key>> = Page::parse(page, &signature, &mut violations);
    violations.finish()?;
    let (owner, page) = (convert::checked(owner)?, convert::checked(page)?);
    let rows = rpc
        .store
        .list_todos(owner, &Filter::default(), ORDER, &page, &rpc.cx(call))
        .await?;
    Ok(pb::ExportTodosResponse {
        next_page_token: rows.next_token(&signature, |todo| ORDER.key(todo)),
        total_count: rows.total,
        data: rows.rows.into_iter().map(convert::todo).collect(),
    })
}
