//! UpdateWebhook.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::UpdateWebhookRequest>,
) -> Result<Response<pb::Webhook>, Error> {
    let call = Call::of(&request)?;
    let (id, edit) = convert::edit(request.get_ref(), &rpc.egress)?;
    let webhook = rpc
        .store
        .update_webhook(call.user()?.id, id, &edit, rpc.clock.now(), call.deadline)
        .await?;
    Ok(Response::new(convert::webhook(
        webhook.ok_or(Error::WebhookNotFound { id })?,
    )))
}
