//! Jobs as workers see them.

use async_trait::async_trait;
use quartet_store::Context;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Ending, Job};

/// Who runs a job, as the store has it: only the holder of the lease may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: Uuid,
    /// Drawn anew for each attempt.
    pub id: Uuid,
}

/// What a worker learns when it renews a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The worker still holds the lease.
    Held,
    /// The worker still holds the lease, and the owner has requested that the job ends.
    CancelRequested,
    /// The worker does not hold the lease any more.
    Lost,
}

/// Jobs as workers see them.
#[async_trait]
pub trait Work: Send + Sync {
    /// Begins an attempt at a queued job, under `lease` until `until`. `None` when it is not
    /// queued: done, cancelled, or claimed by another worker. A job of a paused queue is set aside
    /// until the queue is resumed.
    async fn claim(&self, lease: Lease, until: OffsetDateTime, cx: &Context) -> Result<Option<Job>, Error>;

    /// Holds a lease until `until`.
    async fn renew(&self, lease: Lease, until: OffsetDateTime, cx: &Context) -> Result<Renewal, Error>;

    /// Writes how far a job is; whether the lease is still held.
    async fn report(&self, lease: Lease, progress: i16, note: &str, cx: &Context) -> Result<bool, Error>;

    /// Ends the attempt at `job`, which is as [`Work::claim`] returned it. `None` when the lease is
    /// not held any more; nothing is written then.
    async fn finish(&self, lease: Lease, job: &Job, ending: &Ending, cx: &Context) -> Result<Option<Job>, Error>;

    /// Queues up to `limit` scheduled jobs whose time has come; how many there were.
    async fn enqueue_due(&self, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// Takes up to `limit` running jobs from workers whose lease has run out; how many there were.
    async fn rescue(&self, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// Publishes the messages of up to `limit` jobs again that were queued before `before` and that
    /// no worker has claimed; how many there were.
    async fn redeliver(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// Up to `limit` jobs whose time to be kept is over.
    async fn list_expired(&self, limit: i64, cx: &Context) -> Result<Vec<Uuid>, Error>;

    /// Deletes those of these jobs whose time to be kept is still over.
    async fn delete_expired(&self, ids: &[Uuid], cx: &Context) -> Result<(), Error>;
}
