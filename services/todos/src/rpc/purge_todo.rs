//! PurgeTodo. Superusers alone reach it, so it is the one act that is not scoped by owner.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::PurgeTodoRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("todo_id", &request.get_ref().todo_id)?;
    match rpc.store.purge_todo(id, rpc.clock.now(), call.deadline).await? {
        true => Ok(Response::new(())),
        false => Err(Error::TodoNotFound { id }),
    }
}
