//! DeleteTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::DeleteTodoRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("todo_id", &request.get_ref().todo_id)?;
    rpc.store
        .delete_todos(call.user()?.id, &[id], rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(()))
}
