//! CreateTodo.

use quartet_kernel::Violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::CreateTodoRequest) -> Result<pb::Todo, Error> {
    let mut violations = Violations::new();
    let todo = convert::new_todo(&request, "", rpc.clock.new_id(), &mut violations);
    violations.finish()?;
    let user = call.user()?;
    let todos = rpc
        .store
        .insert_todos(user.id, todo.as_slice(), rpc.limits(user).todos, &rpc.cx(call))
        .await
        .map_err(|error| convert::unknown_tag(error, [("tag_ids".to_owned(), &request.tag_ids[..])]))?;
    Ok(convert::todo(convert::only(todos)?))
}
