//! How many calls may be repeated: a share of those that are made, so that retries cannot multiply
//! the load of a backend that fails under it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One call in this many may be repeated.
const CALLS_PER_RETRY: u64 = 5;
/// Retries in a window that need no calls, so that a backend with few calls has some as well.
const RESERVE: u64 = 100;

/// The budget of retries of one backend. A call costs one addition; all else happens when one is
/// repeated, and at the turn of a period.
#[derive(Default)]
pub(super) struct Budget {
    calls: AtomicU64,
    retries: AtomicU64,
    /// Calls and retries at the beginning of the window, and at the last turn.
    begin: [AtomicU64; 2],
    last: [AtomicU64; 2],
}

impl Budget {
    /// Counts a call.
    pub(super) fn deposit(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// Whether one call more may be repeated; if so, it is counted.
    pub(super) fn withdraw(&self) -> bool {
        let calls = self.calls.load(Relaxed).saturating_sub(self.begin[0].load(Relaxed));
        let retries = self.retries.fetch_add(1, Relaxed);
        let retries = retries.saturating_sub(self.begin[1].load(Relaxed));
        let allowed = retries < RESERVE + calls / CALLS_PER_RETRY;
        if !allowed {
            self.retries.fetch_sub(1, Relaxed);
        }
        allowed
    }

    /// Begins the next period. The window is the period that runs and the one before it.
    pub(super) fn turn(&self) {
        for (index, now) in [&self.calls, &self.retries].into_iter().enumerate() {
            let last = self.last[index].swap(now.load(Relaxed), Relaxed);
            self.begin[index].store(last, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawn(budget: &Budget) -> u64 {
        (0..100_000).take_while(|_| budget.withdraw()).count() as u64
    }

    #[test]
    fn a_fifth_of_the_calls_of_the_window_may_be_repeated_and_a_reserve() {
        let budget = Budget::default();
        assert_eq!(withdrawn(&budget), RESERVE);
        (0..1_000).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget), 200);
        budget.turn();
        // The period before still counts, with its calls and its retries.
        assert_eq!(withdrawn(&budget), 0);
        (0..50).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget), 10);
        budget.turn();
        budget.turn();
        assert_eq!(withdrawn(&budget), RESERVE);
    }
}
