//! DeleteTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteTodoRequest) -> Result<(), Error> {
    let id = convert::id("todo_id", &request.todo_id)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    rpc.store.delete_todos(call.user()?.id, &[id], &cx).await?;
    Ok(())
}
