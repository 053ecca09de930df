//! UpdateTodo.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateTodoRequest) -> Result<pb::Todo, Error> {
    let (id, edit) = convert::edit(&request)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let todo = rpc
        .store
        .update_todo(call.user()?.id, id, &edit, &cx)
        .await
        .map_err(|error| {
            let tag_ids = request.todo.as_ref().map_or(&[][..], |todo| &todo.tag_ids);
            convert::unknown_tag(error, [("todo.tag_ids".to_owned(), tag_ids)])
        })?;
    Ok(convert::todo(todo.ok_or(Error::TodoNotFound { id })?))
}
