//! DeleteTag.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteTagRequest) -> Result<(), Error> {
    let id = convert::id("tag_id", &request.tag_id)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    match rpc.store.delete_tag(call.user()?.id, id, &cx).await? {
        true => Ok(()),
        false => Err(Error::TagNotFound { id }),
    }
}
