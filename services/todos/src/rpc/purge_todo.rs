//! PurgeTodo. Superusers alone reach it, so it is the one act that is not scoped by owner.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::PurgeTodoRequest) -> Result<(), Error> {
    let id = convert::id("todo_id", &request.todo_id)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    match rpc.store.purge_todo(id, &cx).await? {
        true => Ok(()),
        false => Err(Error::TodoNotFound { id }),
    }
}
