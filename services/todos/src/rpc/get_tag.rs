//! GetTag.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetTagRequest) -> Result<pb::Tag, Error> {
    let id = convert::id("tag_id", &request.tag_id)?;
    let tag = rpc.store.find_tag(call.user()?.id, id, &rpc.cx(call)).await?;
    Ok(convert::tag(tag.ok_or(Error::TagNotFound { id })?))
}
