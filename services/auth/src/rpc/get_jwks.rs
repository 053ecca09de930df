//! GetJwks.

use quartet_proto::auth::v1 as pb;
use tonic::{Request, Response};

use super::Rpc;
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, _: Request<pb::GetJwksRequest>) -> Result<Response<pb::JwkSet>, Error> {
    let keys = rpc.tokens.ring.public();
    Ok(Response::new(pb::JwkSet { keys }))
}
