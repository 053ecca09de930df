//! CreateTodo.

use quartet_kernel::Violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::CreateTodoRequest>) -> Result<Response<pb::Todo>, Error> {
    let call = Call::of(&request)?;
    let mut violations = Violations::new();
    let todo = convert::new_todo(request.get_ref(), "", rpc.clock.new_id(), &mut violations);
    violations.finish()?;
    let todos = rpc
        .store
        .insert_todos(call.user()?.id, todo.as_slice(), rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(convert::todo(convert::only(todos)?)))
}
