//! ListTodos.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListTodosRequest,
) -> Result<pb::ListTodosResponse, Error> {
    let owner = call.user()?.id;
    let list = convert::list(owner, &request)?;
    let rows = rpc
        .store
        .list_todos(owner, &list.filter, list.order, &list.page, &rpc.cx(call))
        .await?;
    let next_page_token = rows.next_token(&list.signature, |todo| list.order.key(todo));
    Ok(pb::ListTodosResponse {
        total_count: rows.total,
        total_is_exact: rows.total_is_exact,
        has_more: rows.has_more,
        page: list.page.number(),
        items_per_page: list.page.size,
        next_page_token,
        data: rows.rows.into_iter().map(convert::todo).collect(),
    })
}
