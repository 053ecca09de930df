//! UpdateTag.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateTagRequest) -> Result<pb::Tag, Error> {
    let (id, name) = convert::rename(&request)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let tag = rpc.store.update_tag(call.user()?.id, id, &name, &cx).await?;
    Ok(convert::tag(tag.ok_or(Error::TagNotFound { id })?))
}
