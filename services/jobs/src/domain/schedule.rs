//! Jobs that are made again and again.

use time::OffsetDateTime;

use super::Kind;

/// A job that is made again and again, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When, in the syntax of cron.
    pub cron: String,
    /// Kind of the jobs that it makes.
    pub kind: Kind,
    /// When it makes the next one.
    pub next_run_at: OffsetDateTime,
    /// When it made the last one.
    pub last_run_at: Option<OffsetDateTime>,
}
