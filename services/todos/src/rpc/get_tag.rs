//! GetTag.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetTagRequest>) -> Result<Response<pb::Tag>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("tag_id", &request.get_ref().tag_id)?;
    let tag = rpc.store.find_tag(call.user()?.id, id, call.deadline).await?;
    Ok(Response::new(convert::tag(tag.ok_or(Error::TagNotFound { id })?)))
}
