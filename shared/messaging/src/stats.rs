//! Counts of messages, for the metrics of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{counter, gauge};
use quartet_telemetry::metrics::{
    self as telemetry, MESSAGING_CLIENT_SENT_MESSAGES, MESSAGING_QUEUE_CONSUMERS, MESSAGING_QUEUE_MESSAGES,
    OUTBOX_FAILED_ATTEMPTS, OUTBOX_OLDEST_UNSENT_AGE, OUTBOX_UNSENT_MESSAGES,
};
use tokio_util::sync::CancellationToken;

use crate::Broker;
use crate::broker::QueueStats;

/// How often queues are counted. Each time costs some requests to the broker.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Counts of one relay. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Stats(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// The service that they are recorded for; without one, they are not recorded.
    service: Option<&'static str>,
    unsent: AtomicU64,
    oldest_unsent_ms: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    unroutable: AtomicU64,
    pruned: AtomicU64,
}

/// The counts at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Rows of the outbox that are not sent, when it was last counted.
    pub unsent: u64,
    /// The age of the oldest of them; zero when there is none.
    pub oldest_unsent: Duration,
    /// Messages that the broker confirmed, since the start.
    pub sent: u64,
    /// Attempts to send one that failed, since the start.
    pub failed: u64,
    /// Attempts to send work that has no queue, since the start.
    pub unroutable: u64,
    /// Rows of outbox and inbox that were deleted past their window, since the start.
    pub pruned: u64,
}

impl Stats {
    /// Counts that the metrics of the process record as those of `service`.
    pub fn of(service: &'static str) -> Self {
        let stats = Self(Arc::new(Counts {
            service: Some(service),
            ..Counts::default()
        }));
        // What has not happened yet is recorded as zero, so that its first time shows as a change.
        stats.add_sent(0);
        stats.fail("failed", 0);
        stats.fail("unroutable", 0);
        stats
    }

    /// The counts now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            unsent: self.0.unsent.load(Relaxed),
            oldest_unsent: Duration::from_millis(self.0.oldest_unsent_ms.load(Relaxed)),
            sent: self.0.sent.load(Relaxed),
            failed: self.0.failed.load(Relaxed),
            unroutable: self.0.unroutable.load(Relaxed),
            pruned: self.0.pruned.load(Relaxed),
        }
    }

    pub(crate) fn set_lag(&self, unsent: u64, oldest: Duration) {
        self.0.unsent.store(unsent, Relaxed);
        let oldest = u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX);
        self.0.oldest_unsent_ms.store(oldest, Relaxed);
        if let Some(service) = self.0.service {
            gauge!(OUTBOX_UNSENT_MESSAGES, "service" => service).set(unsent as f64);
            gauge!(OUTBOX_OLDEST_UNSENT_AGE, "service" => service).set(oldest as f64 / 1_000.0);
        }
    }

    pub(crate) fn add_sent(&self, count: u64) {
        self.0.sent.fetch_add(count, Relaxed);
        if let Some(service) = self.0.service {
            counter!(MESSAGING_CLIENT_SENT_MESSAGES, "service" => service).increment(count);
        }
    }

    pub(crate) fn add_failed(&self) {
        self.0.failed.fetch_add(1, Relaxed);
        self.fail("failed", 1);
    }

    pub(crate) fn add_unroutable(&self) {
        self.0.unroutable.fetch_add(1, Relaxed);
        self.fail("unroutable", 1);
    }

    pub(crate) fn add_pruned(&self, count: u64) {
        self.0.pruned.fetch_add(count, Relaxed);
    }

    fn fail(&self, reason: &'static str, count: u64) {
        if let Some(service) = self.0.service {
            counter!(OUTBOX_FAILED_ATTEMPTS, "service" => service, "reason" => reason).increment(count);
        }
    }
}

/// Records in the metrics of the process how these queues stand, until `stop`; nothing where
/// metrics are off.
pub async fn record(broker: &dyn Broker, queues: &[String], stop: &CancellationToken) {
    if !telemetry::is_on() {
        return;
    }
    while !stop.is_cancelled() {
        for queue in queues {
            match broker.queue_stats(queue).await {
                Ok(Some(stats)) => record_queue(queue, stats),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, queue, "the queue cannot be counted for now"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}

fn record_queue(queue: &str, stats: QueueStats) {
    let messages = [("ready", stats.ready), ("delayed", stats.delayed), ("dead", stats.dead)];
    for (state, count) in messages {
        gauge!(MESSAGING_QUEUE_MESSAGES, "queue" => queue.to_owned(), "state" => state).set(count as f64);
    }
    gauge!(MESSAGING_QUEUE_CONSUMERS, "queue" => queue.to_owned()).set(stats.consumers as f64);
}
