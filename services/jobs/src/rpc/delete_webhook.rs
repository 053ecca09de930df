//! DeleteWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, audit, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteWebhookRequest) -> Result<(), Error> {
    let id = convert::id("webhook_id", &request.webhook_id)?;
    let cx = rpc.cx(call).given(call.precondition(&request.etag)?);
    let user = call.user()?;
    if !rpc.store.delete_webhook(user.id, id, &cx).await? {
        return Err(Error::WebhookNotFound { id });
    }
    audit::webhook("sensitive_delete", call, user, id);
    Ok(())
}
