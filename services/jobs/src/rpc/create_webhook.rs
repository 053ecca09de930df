//! CreateWebhook.

use quartet_kernel::Violations;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, audit, convert};
use crate::domain::{NewWebhook, Target};
use crate::{Error, events};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::CreateWebhookRequest) -> Result<pb::Webhook, Error> {
    let mut violations = Violations::new();
    let target = violations.check("url", Target::parse(&request.url, &rpc.egress));
    let events = convert::events("events", &request.events, &mut violations);
    violations.finish()?;
    let user = call.user()?;
    let (id, target, cx) = (rpc.clock.new_id(), convert::checked(target)?, rpc.cx(call));
    let at = (id, target.url().as_str());
    let challenge = events::challenge_job(rpc.clock.new_id(), user.id, at, rpc.quotas.per_host, cx.now);
    let webhook = NewWebhook {
        id,
        owner: user.id,
        target,
        challenge,
        events,
        // Standard Webhooks requires 24 to 64 bytes.
        secret: rpc.clock.random::<32>().to_vec(),
    };
    let made = rpc
        .store
        .insert_webhook(&webhook, rpc.quotas.webhooks(user), &cx)
        .await?;
    audit::webhook("sensitive_create", call, user, id);
    Ok(pb::Webhook {
        secret: convert::secret(&webhook.secret),
        ..convert::webhook(made)
    })
}
