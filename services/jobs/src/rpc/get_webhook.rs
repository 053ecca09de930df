//! GetWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetWebhookRequest>) -> Result<Response<pb::Webhook>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("webhook_id", &request.get_ref().webhook_id)?;
    let webhook = rpc.store.find_webhook(call.user()?.id, id, call.deadline).await?;
    Ok(Response::new(convert::webhook(
        webhook.ok_or(Error::WebhookNotFound { id })?,
    )))
}
