//! Until when somebody waits for an answer.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Code;

use crate::Failure;
use quartet_proto::options::Reason;

/// The moment after which nobody waits for the answer. It shrinks from hop to hop: each hop passes on what is left.
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

    /// The deadline that the `grpc-timeout` header sets, if there is a well-formed one (gRPC over HTTP/2, "Timeout").
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("grpc-timeout")?.to_str().ok()?;
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if number.is_empty() || number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        let timeout = match unit {
            "H" => Duration::from_secs(number * 3_600),
            "M" => Duration::from_secs(number * 60),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        };
        Some(Self::after(timeout))
    }

    /// What is left; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for `work` until the deadline; the error is DEADLINE_EXCEEDED.
    pub async fn bound<F: Future>(self, work: F) -> Result<F::Output, Failure> {
        tokio::time::timeout_at(self.0, work)
            .await
            .map_err(|_| Self::exceeded())
    }

    /// The answer when it has passed.
    pub fn exceeded() -> Failure {
        Failure::new(
            Code::DeadlineExceeded,
            Reason::DeadlineExceeded,
            "the deadline passed before the work was done",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        Deadline::from_headers(&headers).map(Deadline::remaining)
    }

    #[test]
    fn grpc_timeout_is_read_in_every_unit() {
        let units = [
            ("2H", 7_200),
            ("3M", 180),
            ("20S", 20),
            ("60000m", 60),
            ("60000000u", 60),
        ];
        for (text, seconds) in units {
            let remaining = parse(text).unwrap();
            assert!(
                remaining <= Duration::from_secs(seconds) && remaining > Duration::from_secs(seconds - 10),
                "{text}"
            );
        }
        assert_eq!(parse("1n"), Some(Duration::ZERO));
        for wrong in ["", "S", "5", "5x", "-1S", "123456789S", "1.5S"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn work_past_the_deadline_is_given_up() {
        let failure = Deadline::after(Duration::from_millis(10))
            .bound(std::future::pending::<()>())
            .await
            .unwrap_err();
        assert_eq!(failure.code(), Code::DeadlineExceeded);
    }
}
