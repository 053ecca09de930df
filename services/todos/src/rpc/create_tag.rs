//! CreateTag.

use quartet_kernel::violations;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Tag, TagName};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::CreateTagRequest) -> Result<pb::Tag, Error> {
    let name = TagName::parse(&request.name).map_err(|rule| violations::one("name", rule))?;
    let user = call.user()?;
    let now = rpc.clock.now();
    let tag = Tag {
        id: rpc.clock.new_id(),
        user_id: user.id,
        name: name.as_str().to_owned(),
        created_at: now,
        updated_at: now,
    };
    rpc.store.insert_tag(&tag, rpc.limits(user).tags, &rpc.cx(call)).await?;
    Ok(convert::tag(tag))
}
