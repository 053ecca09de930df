//! What this service publishes.

use quartet_clock::Clock;
use quartet_messaging::{Message, Priority};
use uuid::Uuid;

use crate::domain::Queue;

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
