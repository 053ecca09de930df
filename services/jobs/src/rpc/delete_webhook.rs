//! DeleteWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::DeleteWebhookRequest>) -> Result<Response<()>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("webhook_id", &request.get_ref().webhook_id)?;
    match rpc.store.delete_webhook(call.user()?.id, id, call.deadline).await? {
        true => Ok(Response::new(())),
        false => Err(Error::WebhookNotFound { id }),
    }
}
