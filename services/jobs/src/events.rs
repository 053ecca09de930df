//! What this service publishes, and what it makes of the events that it consumes.

use prost::Message as _;
use quartet_clock::Clock;
use quartet_messaging::{Message, Priority};
use quartet_proto::jobs::v1 as pb;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::domain::{CHALLENGE, CHALLENGE_ATTEMPTS, Delivery, Kind, Lane, NewJob, Queue, UniqueKey};

/// Brings a worker to a queue that has one job more with a place. It names no job: the worker claims
/// the one whose turn it is.
pub fn job_queued(clock: &Clock, queue: Queue) -> Message {
    let (name, priority) = broker_queue(queue);
    Message::work(clock, "/jobs", name, priority, "jobs.task.queued.v1", queue.name(), &())
}

/// The work queue in the broker, and its priority there.
pub fn broker_queue(queue: Queue) -> (&'static str, Priority) {
    match queue {
        Queue::Low => ("jobs", Priority::Low),
        Queue::Default => ("jobs", Priority::Normal),
        Queue::High => ("jobs", Priority::High),
        Queue::Webhooks => ("jobs.webhooks", Priority::Normal),
    }
}

/// The job that delivers an event to a webhook at `url`: one per webhook and message.
pub(crate) fn delivery_job(
    delivery: &Delivery,
    id: Uuid,
    (webhook, url): (Uuid, &str),
    message: &Message,
    now: OffsetDateTime,
) -> NewJob {
    let payload = pb::DeliverWebhook {
        webhook_id: webhook.to_string(),
        event_id: format!("msg_{}", message.id.simple()),
        event_type: delivery.event.name().to_owned(),
        body: delivery.body.clone(),
    };
    NewJob::new(id, delivery.owner, Kind::Webhook, payload.encode_to_vec(), now)
        .in_queue(Queue::Webhooks)
        .in_lane(lane(url, delivery.per_host))
        .once(UniqueKey::of("webhook", format_args!("{webhook}:{}", message.id)))
}

/// The job that sends the challenge of a webhook to its target at `url`. It waits for its turn among
/// the deliveries to that host.
pub(crate) fn challenge_job(
    id: Uuid,
    owner: Uuid,
    (webhook, url): (Uuid, &str),
    per_host: u32,
    now: OffsetDateTime,
) -> NewJob {
    let payload = pb::DeliverWebhook {
        webhook_id: webhook.to_string(),
        event_id: format!("msg_{}", id.simple()),
        event_type: CHALLENGE.to_owned(),
        body: String::new(),
    };
    let job = NewJob::new(id, owner, Kind::Webhook, payload.encode_to_vec(), now)
        .in_queue(Queue::Webhooks)
        .in_lane(lane(url, per_host));
    NewJob {
        max_attempts: CHALLENGE_ATTEMPTS,
        ..job
    }
}

/// The lane of what goes to the host of `url`.
fn lane(url: &str, per_host: u32) -> Lane {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    Lane::of_host(host, per_host)
}
