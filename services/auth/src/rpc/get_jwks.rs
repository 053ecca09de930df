//! GetJwks.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;

use super::Rpc;
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, _: &Call, _: pb::GetJwksRequest) -> Result<pb::JwkSet, Error> {
    let keys = rpc.tokens.ring.public();
    Ok(pb::JwkSet { keys })
}
