//! ListTodos.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::ListTodosRequest>,
) -> Result<Response<pb::ListTodosResponse>, Error> {
    let call = Call::of(&request)?;
    let owner = call.user()?.id;
    let list = convert::list(owner, request.get_ref())?;
    let rows = rpc
        .store
        .list_todos(owner, &list.filter, list.order, &list.page, call.deadline)
        .await?;
    let next_page_token = rows.next_token(&list.signature, |todo| list.order.key(todo));
    Ok(Response::new(pb::ListTodosResponse {
        total_count: rows.total,
        has_more: rows.has_more,
        page: list.page.number(),
        items_per_page: list.page.size,
        next_page_token,
        data: rows.rows.into_iter().map(convert::todo).collect(),
    }))
}
