//! Until when somebody waits for an answer.

use std::time::Duration;

use tokio::time::Instant;

/// The moment after which nobody waits for the answer. It shrinks from hop to hop: each hop passes
/// on what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        // A caller may send any number of hours; a year is as good as never.
        Self(
            now.checked_add(timeout)
                .unwrap_or(now + Duration::from_secs(365 * 86_400)),
        )
    }

    /// What is left; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for `work` until the deadline.
    pub async fn bound<F: Future>(self, work: F) -> Result<F::Output, DeadlineExceeded> {
        tokio::time::timeout_at(self.0, work)
            .await
            .map_err(|_| DeadlineExceeded)
    }
}

/// The deadline passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed before the work was done")]
pub struct DeadlineExceeded;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_past_the_deadline_is_given_up() {
        let late = Deadline::after(Duration::from_millis(10))
            .bound(std::future::pending::<()>())
            .await;
        assert_eq!(late, Err(DeadlineExceeded));
    }

    #[tokio::test]
    async fn a_timeout_that_no_clock_can_hold_is_as_good_as_never() {
        let deadline = Deadline::after(Duration::MAX);
        assert!(deadline.remaining() > Duration::from_secs(364 * 86_400));
    }
}
