//! How messages fare, for the metrics of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts of one relay. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Stats(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    unsent: AtomicU64,
    oldest_unsent_ms: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    unroutable: AtomicU64,
    pruned: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Rows of the outbox that are not sent, when it was last looked at.
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
    }

    pub(crate) fn add_sent(&self, count: u64) {
        self.0.sent.fetch_add(count, Relaxed);
    }

    pub(crate) fn add_failed(&self) {
        self.0.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_unroutable(&self) {
        self.0.unroutable.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_pruned(&self, count: u64) {
        self.0.pruned.fetch_add(count, Relaxed);
    }
}
