//! BatchDeleteTodos.

use quartet_kernel::Violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::BatchDeleteTodosRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let mut violations = Violations::new();
    let asked = &request.get_ref().todo_ids;
    violations.check("todo_ids", convert::batch_size(asked.len()));
    let asked = asked.get(..convert::MAX_BATCH).unwrap_or(asked);
    let ids = convert::ids("todo_ids", asked, &mut violations);
    violations.finish()?;
    rpc.store
        .delete_todos(call.user()?.id, &ids, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(()))
}
