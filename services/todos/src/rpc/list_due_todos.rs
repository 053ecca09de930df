//! ListDueTodos.

use quartet_kernel::{Rule, Violations};
use quartet_proto::todos::v1 as pb;
use quartet_rpc::{Call, moment};
use quartet_store::Timestamp;
use quartet_store::page::{Asked, Page};
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{DueKey, DueTodo};

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::ListDueTodosRequest>,
) -> Result<Response<pb::ListDueTodosResponse>, Error> {
    let call = Call::of(&request)?;
    let asked = request.get_ref();
    let mut violations = Violations::new();
    let required = |moment: Result<Option<_>, Rule>| moment.and_then(|moment| moment.ok_or_else(Rule::required));
    let after = violations.check("due_after", required(moment::parse(asked.due_after.as_ref())));
    let before = violations.check("due_before", required(moment::parse(asked.due_before.as_ref())));
    let signature = format!("due between {:?} and {:?}", asked.due_after, asked.due_before);
    let page = Asked {
        page: None,
        items_per_page: None,
        page_size: asked.page_size,
        page_token: &asked.page_token,
    };
    let page: Option<Page<DueKey>> = Page::parse(page, &signature, &mut violations);
    violations.finish()?;
    let (after, before) = (convert::checked(after)?, convert::checked(before)?);
    let rows = rpc
        .store
        .list_due(after, before, &convert::checked(page)?, call.deadline)
        .await?;
    let key = |todo: &DueTodo| DueKey {
        due_at: Timestamp(todo.due_at).micros(),
        id: todo.id,
    };
    Ok(Response::new(pb::ListDueTodosResponse {
        next_page_token: rows.next_token(&signature, key),
        data: rows
            .rows
            .into_iter()
            .map(|todo| pb::DueTodo {
                todo_id: todo.id.to_string(),
                user_id: todo.user_id.to_string(),
                title: todo.title,
                due_at: Some(moment::to_proto(todo.due_at)),
            })
            .collect(),
    }))
}
