//! BatchCreateTodos.

use quartet_kernel::Violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::BatchCreateTodosRequest,
) -> Result<pb::BatchCreateTodosResponse, Error> {
    let mut violations = Violations::new();
    let body = &request.todos;
    violations.check("todos", convert::batch_size(body.len()));
    let new = body
        .iter()
        .take(convert::MAX_BATCH)
        .enumerate()
        .filter_map(|(position, todo)| {
            convert::new_todo(
                todo,
                &format!("todos[{position}]."),
                rpc.clock.new_id(),
                &mut violations,
            )
        });
    let new: Vec<_> = new.collect();
    violations.finish()?;
    let user = call.user()?;
    let todos = rpc
        .store
        .insert_todos(user.id, &new, rpc.limits(user).todos, &rpc.cx(call))
        .await
        .map_err(|error| {
            let lists = body.iter().enumerate();
            let lists = lists.map(|(position, todo)| (format!("todos[{position}].tag_ids"), &todo.tag_ids[..]));
            convert::unknown_tag(error, lists)
        })?;
    Ok(pb::BatchCreateTodosResponse {
        data: todos.into_iter().map(convert::todo).collect(),
    })
}
