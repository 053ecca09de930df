//! Whether Redis is tried at all.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// So many failures in a row open the breaker.
const TOLERATED: u32 = 3;
/// An open breaker lets one command through this often, to see whether Redis is back.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// Opens after failures in a row, and closes with the first success.
#[derive(Debug)]
pub(crate) struct Breaker {
    begun: Instant,
    failures: AtomicU32,
    /// Milliseconds since `begun` until which nothing is let through; 0 while it is closed.
    open_until: AtomicU64,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            failures: AtomicU32::new(0),
            open_until: AtomicU64::new(0),
        }
    }

    /// Whether a command may be sent. Of many who ask once a probe is due, one may.
    pub(crate) fn admits(&self) -> bool {
        let until = self.open_until.load(Acquire);
        if until == 0 {
            return true;
        }
        let now = self.now();
        now >= until
            && self
                .open_until
                .compare_exchange(until, now + PROBE_EVERY.as_millis() as u64, AcqRel, Relaxed)
                .is_ok()
    }

    /// Records a success; true if the breaker was open.
    pub(crate) fn succeeded(&self) -> bool {
        // Looked at before it is written: the line is shared by all threads.
        if self.failures.load(Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Relaxed);
        self.open_until.swap(0, AcqRel) != 0
    }

    /// Records a failure; true if it opens the breaker.
    pub(crate) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, AcqRel) + 1;
        if failures < TOLERATED {
            return false;
        }
        self.open_until
            .store(self.now() + PROBE_EVERY.as_millis() as u64, Release);
        failures == TOLERATED
    }

    fn now(&self) -> u64 {
        // Never 0, which means closed.
        self.begun.elapsed().as_millis() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_probe_through() {
        let breaker = Breaker::new();
        assert!(!breaker.failed());
        assert!(!breaker.failed());
        assert!(!breaker.succeeded());
        assert!(breaker.admits());
        assert_eq!(
            [breaker.failed(), breaker.failed(), breaker.failed()],
            [false, false, true]
        );
        assert!(!breaker.admits());
        std::thread::sleep(PROBE_EVERY + Duration::from_millis(5));
        assert_eq!([breaker.admits(), breaker.admits()], [true, false]);
        assert!(breaker.succeeded());
        assert!(breaker.admits());
    }
}
