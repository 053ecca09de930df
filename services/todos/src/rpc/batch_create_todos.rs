//! BatchCreateTodos.

use quartet_kernel::Violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::BatchCreateTodosRequest>,
) -> Result<Response<pb::BatchCreateTodosResponse>, Error> {
    let call = Call::of(&request)?;
    let mut violations = Violations::new();
    let asked = &request.get_ref().todos;
    violations.check("todos", convert::batch_size(asked.len()));
    let new = asked
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
    let todos = rpc
        .store
        .insert_todos(call.user()?.id, &new, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(pb::BatchCreateTodosResponse {
        data: todos.into_iter().map(convert::todo).collect(),
    }))
}
