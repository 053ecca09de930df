//! GetTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetTodoRequest>) -> Result<Response<pb::Todo>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("todo_id", &request.get_ref().todo_id)?;
    let todo = rpc.store.find_todo(call.user()?.id, id, call.deadline).await?;
    Ok(Response::new(convert::todo(todo.ok_or(Error::TodoNotFound { id })?)))
}
