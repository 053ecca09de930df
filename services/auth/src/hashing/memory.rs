//! The memory of hashes that have ended, for those that come next.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::domain::HashMemory;

/// Memory that nobody has used for so long is given back to the system.
const KEPT: Duration = Duration::from_secs(10);

/// Memory that waits to be used again. Cheap to clone; clones share it.
#[derive(Clone)]
pub(super) struct Spare {
    waiting: Arc<Mutex<Waiting>>,
    /// What an imported hash took beyond this is not kept.
    most_kib: usize,
    kept: Duration,
}

#[derive(Default)]
struct Waiting {
    /// The last that was used is at the end.
    memory: Vec<(Instant, HashMemory)>,
    /// Whether a task drops what nobody uses.
    is_watched: bool,
}

impl Spare {
    /// Nothing yet, of hashes that take so much.
    pub(super) fn new(most_kib: u32) -> Self {
        Self {
            waiting: Arc::default(),
            most_kib: usize::try_from(most_kib).unwrap_or(usize::MAX),
            kept: KEPT,
        }
    }

    pub(super) fn take(&self) -> HashMemory {
        let last = self.waiting.lock().memory.pop();
        last.map(|(_, memory)| memory).unwrap_or_default()
    }

    /// Puts back what was taken. Call it inside a tokio runtime.
    pub(super) fn put(&self, memory: HashMemory) {
        if memory.kib() > self.most_kib {
            return;
        }
        let mut waiting = self.waiting.lock();
        waiting.memory.push((Instant::now(), memory));
        if !std::mem::replace(&mut waiting.is_watched, true) {
            Handle::current().spawn(self.clone().watch());
        }
    }

    /// Drops what nobody has used for a while, until nothing is left.
    async fn watch(self) {
        loop {
            sleep(self.kept).await;
            let mut waiting = self.waiting.lock();
            waiting.memory.retain(|(used, _)| used.elapsed() < self.kept);
            if waiting.memory.is_empty() {
                waiting.is_watched = false;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(kib: u32) -> HashMemory {
        let mut memory = HashMemory::default();
        memory.reserve(kib as usize);
        memory
    }

    #[tokio::test]
    async fn memory_is_used_again_and_dropped_when_nobody_needs_it() {
        let mut spare = Spare::new(64);
        spare.kept = Duration::from_millis(50);
        for _ in 0..2 {
            assert_eq!(spare.take().kib(), 0);
            spare.put(used(64));
            spare.put(used(32));
            let last = spare.take();
            assert_eq!(last.kib(), 32);
            spare.put(last);
            let begun = Instant::now();
            while spare.waiting.lock().is_watched {
                assert!(begun.elapsed() < Duration::from_secs(20), "it is kept for good");
                sleep(Duration::from_millis(5)).await;
            }
        }
        spare.put(used(65));
        assert_eq!(
            spare.take().kib(),
            0,
            "an imported hash may take a GiB, which nobody else needs"
        );
    }
}
