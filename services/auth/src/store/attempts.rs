//! Failed logins.

use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Deadline;
use time::OffsetDateTime;

use crate::Error;
use crate::domain::throttle::{Policy, Subject};

/// Stands for all addresses of a name.
pub(super) const ANYWHERE: &str = "*";

/// An attempt that was let through and counts as failed until it is told otherwise.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The name that was offered.
    pub subject: Subject,
    /// What it changed, per address.
    pub(super) marks: Vec<Mark>,
}

/// What an attempt changed in one count.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) address: String,
    pub(super) blocked_before: OffsetDateTime,
    pub(super) blocked_until: OffsetDateTime,
}

/// Failed logins.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Counts an attempt from `address`, under both policies, or tells how long to wait. Without `name` the attempts from other addresses do
    /// not matter.
    async fn begin_attempt(
        &self,
        subject: Subject,
        address: &str,
        pair: Policy,
        name: Option<Policy>,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Result<Attempt, Duration>, Error>;

    /// The attempt succeeded: failures from its address are forgotten, and it does not count over all addresses.
    async fn attempt_succeeded(&self, attempt: &Attempt, deadline: Deadline) -> Result<(), Error>;

    /// The attempt was not tried after all: it does not count.
    async fn withdraw_attempt(&self, attempt: &Attempt, deadline: Deadline) -> Result<(), Error>;
}
