//! UpdateWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, audit, convert};
use crate::domain::WebhookEdit;
use crate::{Error, events};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::UpdateWebhookRequest) -> Result<pb::Webhook, Error> {
    let (id, target, edit) = convert::edit(&request, &rpc.egress)?;
    if target.is_some() {
        // Whoever has stolen a token must not have the owner's events sent elsewhere.
        call.fresh_proof()?;
    }
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let user = call.user()?;
    let owner = user.id;
    let target = target.map(|target| {
        let at = (id, target.url().as_str());
        let challenge = events::challenge_job(rpc.clock.new_id(), owner, at, rpc.quotas.per_host, cx.now);
        (target, challenge)
    });
    let edit = WebhookEdit { target, ..edit };
    let webhook = rpc.store.update_webhook(owner, id, &edit, &cx).await?;
    let webhook = webhook.ok_or(Error::WebhookNotFound { id })?;
    audit::webhook("sensitive_update", call, user, id);
    Ok(convert::webhook(webhook))
}
