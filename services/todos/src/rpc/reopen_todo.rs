//! ReopenTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Edit;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::ReopenTodoRequest>) -> Result<Response<pb::Todo>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("todo_id", &request.get_ref().todo_id)?;
    let edit = Edit {
        completed: Some(false),
        ..Edit::default()
    };
    let todo = rpc
        .store
        .update_todo(call.user()?.id, id, &edit, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(convert::todo(todo.ok_or(Error::TodoNotFound { id })?)))
}
