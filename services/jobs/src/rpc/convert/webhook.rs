//! Webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quartet_kernel::{Rule, Violations, id};
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::{Failure, mask, timestamp};
use uuid::Uuid;

use super::checked;
use crate::domain::{EgressPolicy, EventType, Target, Webhook, WebhookEdit};

/// The events of these names, each once; all of them when none is named.
pub(in crate::rpc) fn events(field: &str, names: &[String], violations: &mut Violations) -> Vec<EventType> {
    if names.len() > EventType::ALL.len() {
        let text = format!("must have at most {} items", EventType::ALL.len());
        violations.add(field, Rule::new("REPEATED_MAX_ITEMS", text));
        return Vec::new();
    }
    let mut events = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let event = EventType::from_name(name).ok_or_else(|| {
            let all = EventType::ALL.map(|event| format!("`{}`", event.name()));
            Rule::new("STRING_IN", format!("must be one of {}", all.join(", ")))
        });
        if let Some(event) = violations.check(format!("{field}[{position}]"), event)
            && !events.contains(&event)
        {
            events.push(event);
        }
    }
    if events.is_empty() {
        EventType::ALL.to_vec()
    } else {
        events
    }
}

/// The webhook to change, its new target, and the other fields to write.
pub(in crate::rpc) fn edit(
    request: &pb::UpdateWebhookRequest,
    policy: &EgressPolicy,
) -> Result<(Uuid, Option<Target>, WebhookEdit), Failure> {
    let mut violations = Violations::new();
    let id = violations.check("webhook_id", id::parse(&request.webhook_id));
    let webhook = request.webhook.clone().unwrap_or_default();
    let mask = mask::parse(
        request.update_mask.as_ref(),
        &["url", "events", "enabled"],
        &mut violations,
    );
    let has = |name: &str| mask.contains(&name);
    let target = has("url")
        .then(|| violations.check("webhook.url", Target::parse(&webhook.url, policy)))
        .flatten();
    let edit = WebhookEdit {
        target: None,
        events: has("events").then(|| events("webhook.events", &webhook.events, &mut violations)),
        enabled: has("enabled").then_some(webhook.enabled),
    };
    violations.finish()?;
    Ok((checked(id)?, target, edit))
}

/// The form in which Standard Webhooks shows a secret.
pub(in crate::rpc) fn secret(bytes: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(bytes))
}

fn status(webhook: &Webhook) -> pb::WebhookStatus {
    match (webhook.enabled, webhook.proven_at) {
        (false, _) => pb::WebhookStatus::Disabled,
        (true, None) => pb::WebhookStatus::Pending,
        (true, Some(_)) => pb::WebhookStatus::Active,
    }
}

/// The webhook, without its secret.
pub(in crate::rpc) fn webhook(webhook: Webhook) -> pb::Webhook {
    pb::Webhook {
        etag: webhook.etag().to_string(),
        status: status(&webhook).into(),
        id: webhook.id.to_string(),
        url: webhook.url,
        events: webhook
            .events
            .into_iter()
            .map(|event| event.name().to_owned())
            .collect(),
        enabled: webhook.enabled,
        secret: String::new(),
        user_id: webhook.owner.to_string(),
        created_at: Some(timestamp::to_proto(webhook.created_at)),
        updated_at: Some(timestamp::to_proto(webhook.updated_at)),
    }
}
