//! Queues.

use quartet_kernel::{InvalidFields, Rule, violations};
use quartet_proto::jobs::v1 as pb;

use super::timestamp;
use crate::domain::{Queue, QueueState};

/// The queue of that name, in the field `queue`.
pub(in crate::rpc) fn queue_named(name: &str) -> Result<Queue, InvalidFields> {
    let rule = match name {
        "" => Rule::required(),
        _ => Rule::new("STRING_IN", "must be low, default, high or webhooks"),
    };
    Queue::from_name(name).ok_or_else(|| violations::one("queue", rule))
}

pub(in crate::rpc) fn queue(state: QueueState) -> pb::Queue {
    let count = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    pb::Queue {
        name: state.queue.name().to_owned(),
        paused: state.paused,
        scheduled: count(state.scheduled),
        queued: count(state.queued),
        running: count(state.running),
        dead: count(state.dead),
        oldest_queued_at: timestamp(state.oldest_queued_at),
    }
}
