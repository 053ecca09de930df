//! UpdateTag.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::UpdateTagRequest>) -> Result<Response<pb::Tag>, Error> {
    let call = Call::of(&request)?;
    let (id, name) = convert::rename(request.get_ref())?;
    let tag = rpc
        .store
        .update_tag(call.user()?.id, id, &name, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(convert::tag(tag.ok_or(Error::TagNotFound { id })?)))
}
