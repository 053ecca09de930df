//! So many calls in so much time.

use std::str::FromStr;
use std::time::Duration;

use quartet_config::value::Span;

/// So many calls in so much time, written `100/1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    calls: u32,
    period: Duration,
}

impl Quota {
    /// `calls` in `period`; at least one call, and a millisecond.
    pub fn new(calls: u32, period: Duration) -> Self {
        Self {
            calls: calls.max(1),
            period: period.max(Duration::from_millis(1)),
        }
    }

    /// Calls in a period.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Length of the period.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Microseconds after which one call comes back; at least one.
    pub(crate) fn interval(&self) -> i64 {
        let period = i64::try_from(self.period.as_micros()).unwrap_or(i64::MAX);
        (period / i64::from(self.calls)).max(1)
    }

    /// How far ahead a bucket may be, in microseconds.
    pub(crate) fn capacity(&self) -> i64 {
        self.interval().saturating_mul(i64::from(self.calls))
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "expected calls and a period, such as `100/1m`";
        let (calls, period) = text.split_once('/').ok_or(RULE)?;
        let calls: u32 = calls.trim().parse().map_err(|_| RULE)?;
        let Span(period) = period.trim().parse().map_err(|_| RULE)?;
        if calls == 0 || calls > 1_000_000 || period < Duration::from_secs(1) || period > Duration::from_hours(24) {
            return Err("expected 1 to 1000000 calls, and a period of 1s to 1d".into());
        }
        Ok(Self::new(calls, period))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_written_as_calls_and_a_period() {
        assert_eq!("100/1m".parse(), Ok(Quota::new(100, Duration::from_secs(60))));
        for wrong in [
            "",
            "100",
            "/1m",
            "0/1m",
            "-1/1m",
            "5/10",
            "5/2d",
            "5/10ms",
            "1000001/1m",
        ] {
            assert!(wrong.parse::<Quota>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_call_comes_back_after_its_part_of_the_period() {
        let quota = Quota::new(7, Duration::from_secs(1));
        assert_eq!((quota.interval(), quota.capacity()), (142_857, 999_999));
    }
}
