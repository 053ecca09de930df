//! How fast a client may send: a token bucket that fills at a steady rate, up to two seconds of it.

use tokio::time::Instant;

const SECONDS_HELD: f64 = 2.0;

pub(super) struct Rate {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Rate {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            left: per_second * SECONDS_HELD,
            at: now,
        }
    }

    /// Whether one more may come at `now`; counts it if so.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let refill = (now - self.at).as_secs_f64() * self.per_second;
        self.at = now;
        self.left = (self.left + refill).min(self.per_second * SECONDS_HELD);
        let admitted = self.left >= 1.0;
        if admitted {
            self.left -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_steady_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(10, start);
        assert_eq!((0..50).filter(|_| rate.admits(start)).count(), 20);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..50).filter(|_| rate.admits(later)).count(), 5);
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!((0..50).filter(|_| rate.admits(much_later)).count(), 20);
    }
}
