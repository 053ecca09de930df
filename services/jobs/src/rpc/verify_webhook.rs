//! VerifyWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::{Error, events};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::VerifyWebhookRequest) -> Result<pb::Webhook, Error> {
    let id = convert::id("webhook_id", &request.webhook_id)?;
    let (owner, cx) = (call.user()?.id, rpc.cx(call));
    let webhook = rpc.store.find_webhook(owner, id, &cx).await?;
    let webhook = webhook.ok_or(Error::WebhookNotFound { id })?;
    if webhook.enabled && webhook.proven_at.is_none() {
        let at = (id, webhook.url.as_str());
        let challenge = events::challenge_job(rpc.clock.new_id(), owner, at, rpc.quotas.per_host, cx.now);
        rpc.store.insert_job(&challenge, &cx).await?;
    }
    Ok(convert::webhook(webhook))
}
