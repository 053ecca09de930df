//! DeleteTag.

use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::DeleteTagRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("tag_id", &request.get_ref().tag_id)?;
    match rpc
        .store
        .delete_tag(call.user()?.id, id, rpc.clock.now(), call.deadline)
        .await?
    {
        true => Ok(Response::new(())),
        false => Err(Error::TagNotFound { id }),
    }
}
