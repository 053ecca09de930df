//! RestoreTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::RestoreTodoRequest) -> Result<pb::Todo, Error> {
    let id = convert::id("todo_id", &request.todo_id)?;
    let user = call.user()?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let todo = rpc.store.restore_todo(user.id, id, rpc.limits(user).todos, &cx).await?;
    Ok(convert::todo(todo.ok_or(Error::TodoNotFound { id })?))
}
