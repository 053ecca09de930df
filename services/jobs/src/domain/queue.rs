//! Which queue a job waits in.

use time::OffsetDateTime;

/// A job's priority, or that it is a delivery: each has a queue and workers of its own, so that a
/// full queue holds up no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Queue {
    /// Can wait.
    Low,
    /// Most jobs.
    #[default]
    Default,
    /// A user waits for it.
    High,
    /// Deliveries to webhooks, which wait for servers of others: they take no worker from the rest.
    Webhooks,
}

/// How full a queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Which one.
    pub queue: Queue,
    /// Whether its jobs are kept from beginning.
    pub paused: bool,
    /// Jobs that wait for their time.
    pub scheduled: i64,
    /// Jobs that wait for a worker.
    pub queued: i64,
    /// Jobs that workers run.
    pub running: i64,
    /// Jobs whose attempts are used up.
    pub dead: i64,
    /// Since when the longest-waiting queued job has been due.
    pub oldest_queued_at: Option<OffsetDateTime>,
}

impl Queue {
    /// Every queue, the most urgent first.
    pub const ALL: [Self; 4] = [Self::High, Self::Default, Self::Low, Self::Webhooks];

    /// The name that stores keep and people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Default => "default",
            Self::High => "high",
            Self::Webhooks => "webhooks",
        }
    }

    /// The queue of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }
}
