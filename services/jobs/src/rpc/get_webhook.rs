//! GetWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetWebhookRequest) -> Result<pb::Webhook, Error> {
    let id = convert::id("webhook_id", &request.webhook_id)?;
    let webhook = rpc.store.find_webhook(call.user()?.id, id, &rpc.cx(call)).await?;
    Ok(convert::webhook(webhook.ok_or(Error::WebhookNotFound { id })?))
}
