//! When a schedule makes its next job.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds};
use time::OffsetDateTime;

/// A pattern in the syntax of cron, such as `*/15 * * * *`: minute, hour, day of month, month, day
/// of week, with an optional field of seconds in front. Read in UTC.
#[derive(Clone)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
}

/// A text that is no pattern, or one that never comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a pattern in the syntax of cron that comes some day, such as `0 3 * * *`: {0}")]
pub struct InvalidCron(String);

impl Cron {
    /// The pattern, as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `time` that the pattern names; `None` when there is none.
    pub fn next_after(&self, time: OffsetDateTime) -> Option<OffsetDateTime> {
        let time = DateTime::<Utc>::from_timestamp(time.unix_timestamp(), time.nanosecond())?;
        let next = self.parsed.find_next_occurrence(&time, false).ok()?;
        OffsetDateTime::from_unix_timestamp(next.timestamp()).ok()
    }
}

impl FromStr for Cron {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let parsed = parser.parse(text).map_err(|error| InvalidCron(error.to_string()))?;
        let cron = Self {
            text: text.to_owned(),
            parsed,
        };
        // The 30th of February parses, but never comes.
        match cron.next_after(OffsetDateTime::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(InvalidCron("it never comes".into())),
        }
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_next_time_is_after_the_given_one() {
        let cron: Cron = "*/15 * * * *".parse().unwrap();
        let next = |time| cron.next_after(time).unwrap();
        assert_eq!(next(datetime!(2026-01-01 00:00 UTC)), datetime!(2026-01-01 00:15 UTC));
        assert_eq!(
            next(datetime!(2026-01-01 23:59:59.9 UTC)),
            datetime!(2026-01-02 00:00 UTC)
        );
    }

    #[test]
    fn seconds_may_stand_in_front() {
        let cron: Cron = "*/2 * * * * *".parse().unwrap();
        assert_eq!(
            cron.next_after(datetime!(2026-01-01 00:00:01.5 UTC)),
            Some(datetime!(2026-01-01 00:00:02 UTC))
        );
    }

    #[test]
    fn what_never_comes_is_no_pattern() {
        for wrong in ["", "often", "61 * * * *", "0 0 30 2 *"] {
            assert!(wrong.parse::<Cron>().is_err(), "{wrong}");
        }
    }
}
