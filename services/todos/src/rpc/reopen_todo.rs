//! ReopenTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Edit;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::ReopenTodoRequest) -> Result<pb::Todo, Error> {
    let id = convert::id("todo_id", &request.todo_id)?;
    let edit = Edit {
        completed: Some(false),
        ..Edit::default()
    };
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let todo = rpc.store.update_todo(call.user()?.id, id, &edit, &cx).await?;
    Ok(convert::todo(todo.ok_or(Error::TodoNotFound { id })?))
}
