//! Webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::violations::{self, Rule};
use quartet_rpc::{Failure, Violations, mask, moment};
use uuid::Uuid;

use super::checked;
use crate::domain::{EventType, Reach, Target, Webhook, WebhookEdit};

/// The events of these names, each once; all of them when none is named.
pub(in crate::rpc) fn events(field: &str, names: &[String], violations: &mut Violations) -> Vec<EventType> {
    if names.len() > EventType::ALL.len() {
        let text = format!("must have at most {} items", EventType::ALL.len());
        violations.add(field, Rule::new("REPEATED_MAX_ITEMS", text));
        return Vec::new();
    }
    let mut events = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let event = EventType::from_name(name).ok_or_else(|| Rule::new("STRING_IN", "must be an event of todos"));
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

pub(in crate::rpc) fn edit(request: &pb::UpdateWebhookRequest, reach: &Reach) -> Result<(Uuid, WebhookEdit), Failure> {
    let mut violations = Violations::new();
    let id = violations.check("webhook_id", violations::uuid(&request.webhook_id));
    let webhook = request.webhook.clone().unwrap_or_default();
    let mask = mask::parse(
        request.update_mask.as_ref(),
        &["url", "events", "enabled"],
        &mut violations,
    );
    let has = |name: &str| mask.contains(&name);
    let edit = WebhookEdit {
        target: has("url")
            .then(|| violations.check("webhook.url", Target::parse(&webhook.url, reach)))
            .flatten(),
        events: has("events").then(|| events("webhook.events", &webhook.events, &mut violations)),
        enabled: has("enabled").then_some(webhook.enabled),
    };
    violations.finish()?;
    Ok((checked(id)?, edit))
}

/// The form in which Standard Webhooks shows a secret.
pub(in crate::rpc) fn secret(bytes: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// The webhook, without its secret.
pub(in crate::rpc) fn webhook(webhook: Webhook) -> pb::Webhook {
    pb::Webhook {
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
        created_at: Some(moment::to_proto(webhook.created_at)),
        updated_at: Some(moment::to_proto(webhook.updated_at)),
    }
}
