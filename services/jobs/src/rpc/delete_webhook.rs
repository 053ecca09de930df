//! DeleteWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DeleteWebhookRequest) -> Result<(), Error> {
    let id = convert::id("webhook_id", &request.webhook_id)?;
    match rpc.store.delete_webhook(call.user()?.id, id, &rpc.cx(call)).await? {
        true => Ok(()),
        false => Err(Error::WebhookNotFound { id }),
    }
}
