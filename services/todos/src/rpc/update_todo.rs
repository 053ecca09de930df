//! UpdateTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateTodoRequest) -> Result<pb::Todo, Error> {
    let (id, edit) = convert::edit(&request)?;
    let todo = rpc.store.update_todo(call.user()?.id, id, &edit, &rpc.cx(call)).await?;
    Ok(convert::todo(todo.ok_or(Error::TodoNotFound { id })?))
}
