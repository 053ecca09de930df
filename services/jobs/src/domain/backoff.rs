//! How long a job waits for its next attempt.

use std::time::Duration;

/// Pauses that double from attempt to attempt, with jitter, so that jobs that failed together do
/// not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after attempt number `attempt`, counted from 1: a random length between half of
    /// the doubled pause and all of it. `random` is any random number.
    pub fn pause(self, attempt: i16, random: u32) -> Duration {
        let doublings = u32::from(attempt.unsigned_abs()).saturating_sub(1).min(20);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = whole / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(4),
        longest: Duration::from_secs(60),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let longest = |attempt| BACKOFF.pause(attempt, u32::MAX).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 99].map(longest), [4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn jitter_takes_at_most_half_of_the_pause() {
        assert_eq!(BACKOFF.pause(1, 0), Duration::from_secs(2));
        assert_eq!(BACKOFF.pause(i16::MAX, 0), Duration::from_secs(30));
    }
}
