//! ListDueTodos.

use quartet_kernel::{Rule, Violations};
use quartet_proto::todos::v1 as pb;
use quartet_rpc::{Call, timestamp};
use quartet_store::Timestamp;
use quartet_store::page::{Page, PageRequest};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{DueKey, DueTodo};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListDueTodosRequest,
) -> Result<pb::ListDueTodosResponse, Error> {
    let body = &request;
    let mut violations = Violations::new();
    let required = |time: Result<Option<_>, Rule>| time.and_then(|time| time.ok_or_else(Rule::required));
    let after = violations.check("due_after", required(timestamp::parse(body.due_after.as_ref())));
    let before = violations.check("due_before", required(timestamp::parse(body.due_before.as_ref())));
    let signature = format!("due between {:?} and {:?}", body.due_after, body.due_before);
    let page = PageRequest {
        page: None,
        items_per_page: None,
        page_size: body.page_size,
        page_token: &body.page_token,
    };
    let page: Option<Page<DueKey>> = Page::parse(page, &signature, &mut violations);
    violations.finish()?;
    let (after, before) = (convert::checked(after)?, convert::checked(before)?);
    let rows = rpc
        .store
        .list_due(after, before, &convert::checked(page)?, &rpc.cx(call))
        .await?;
    let key = |todo: &DueTodo| DueKey {
        due_at: Timestamp(todo.due_at).micros(),
        id: todo.id,
    };
    Ok(pb::ListDueTodosResponse {
        next_page_token: rows.next_token(&signature, key),
        data: rows
            .rows
            .into_iter()
            .map(|todo| pb::DueTodo {
                todo_id: todo.id.to_string(),
                user_id: todo.user_id.to_string(),
                title: todo.title,
                due_at: Some(timestamp::to_proto(todo.due_at)),
            })
            .collect(),
    })
}
