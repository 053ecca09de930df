//! UpdateWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateWebhookRequest) -> Result<pb::Webhook, Error> {
    let (id, edit) = convert::edit(&request, &rpc.egress)?;
    let webhook = rpc
        .store
        .update_webhook(call.user()?.id, id, &edit, &rpc.cx(call))
        .await?;
    Ok(convert::webhook(webhook.ok_or(Error::WebhookNotFound { id })?))
}
