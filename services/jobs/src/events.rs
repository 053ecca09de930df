//! What this service publishes, and what it makes of the events that it consumes.

use prost::Message as _;
use quartet_clock::Clock;
use quartet_messaging::{Message, Priority};
use quartet_proto::jobs::v1 as pb;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{Delivery, Kind, NewJob, Queue, UniqueKey};

/// Name of the work queue in the broker; each priority has a queue of its own there.
pub const WORK_QUEUE: &str = "jobs";

/// Brings a queued job to a worker. The row of the job is the truth; this is only a wake-up call.
pub fn job_queued(clock: &Clock, job: Uuid, queue: Queue) -> Message {
    let priority = priority(queue);
    Message::work(clock, "/jobs", WORK_QUEUE, priority, "jobs.task.queued.v1", job, &())
}

/// The broker's name for a queue.
pub fn priority(queue: Queue) -> Priority {
    match queue {
        Queue::Low => Priority::Low,
        Queue::Default => Priority::Normal,
        Queue::High => Priority::High,
    }
}

/// The job that delivers an event to a webhook: one per webhook and message.
pub(crate) fn delivery_job(
    delivery: &Delivery,
    id: Uuid,
    webhook: Uuid,
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
        .once(UniqueKey::of("webhook", format_args!("{webhook}:{}", message.id)))
}
