//! CreateTag.

use quartet_kernel::violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Tag, TagName};

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::CreateTagRequest>) -> Result<Response<pb::Tag>, Error> {
    let call = Call::of(&request)?;
    let name = TagName::parse(&request.get_ref().name).map_err(|rule| violations::one("name", rule))?;
    let now = rpc.clock.now();
    let tag = Tag {
        id: rpc.clock.new_id(),
        user_id: call.user()?.id,
        name: name.as_str().to_owned(),
        created_at: now,
        updated_at: now,
    };
    rpc.store.insert_tag(&tag, call.deadline).await?;
    Ok(Response::new(convert::tag(tag)))
}
