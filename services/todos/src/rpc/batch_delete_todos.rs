//! BatchDeleteTodos.

use quartet_kernel::Violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::BatchDeleteTodosRequest) -> Result<(), Error> {
    let mut violations = Violations::new();
    let body = &request.todo_ids;
    violations.check("todo_ids", convert::batch_size(body.len()));
    let body = body.get(..convert::MAX_BATCH).unwrap_or(body);
    let ids = convert::ids("todo_ids", body, &mut violations);
    violations.finish()?;
    rpc.store.delete_todos(call.user()?.id, &ids, &rpc.cx(call)).await?;
    Ok(())
}
