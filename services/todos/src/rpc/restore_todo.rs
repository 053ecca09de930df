//! RestoreTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RestoreTodoRequest) -> Result<pb::Todo, Error> {
    let id = convert::id("todo_id", &request.todo_id)?;
    let todo = rpc.store.restore_todo(call.user()?.id, id, &rpc.cx(call)).await?;
    Ok(convert::todo(todo.ok_or(Error::TodoNotFound { id })?))
}
