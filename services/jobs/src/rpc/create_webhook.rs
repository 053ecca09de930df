//! CreateWebhook.

use quartet_kernel::Violations;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{NewWebhook, Target};

/// Webhooks of one owner at the most.
const LIMIT: i64 = 20;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::CreateWebhookRequest) -> Result<pb::Webhook, Error> {
    let mut violations = Violations::new();
    let target = violations.check("url", Target::parse(&request.url, &rpc.egress));
    let events = convert::events("events", &request.events, &mut violations);
    violations.finish()?;
    let webhook = NewWebhook {
        id: rpc.clock.new_id(),
        owner: call.user()?.id,
        target: convert::checked(target)?,
        events,
        // Standard Webhooks requires 24 to 64 bytes.
        secret: rpc.clock.random::<32>().to_vec(),
    };
    let made = rpc.store.insert_webhook(&webhook, LIMIT, &rpc.cx(call)).await?;
    Ok(pb::Webhook {
        secret: convert::secret(&webhook.secret),
        ..convert::webhook(made)
    })
}
