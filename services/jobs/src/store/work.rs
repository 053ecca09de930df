//! Jobs as workers see them.

use async_trait::async_trait;
use quartet_store::Context;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::Error;
use crate::domain::{Ending, Job, LaneKey, MailLimits, OutgoingMail, Queue};

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
    /// Begins an attempt at the job of `queue` that has had a place for longest, under the lease
    /// `lease` until `until`. `None` when no job has a place that no worker has claimed. A job of a
    /// paused queue is set aside until the queue is resumed.
    async fn claim(
        &self,
        queue: Queue,
        lease: Uuid,
        until: OffsetDateTime,
        cx: &Context,
    ) -> Result<Option<(Lease, Job)>, Error>;

    /// Holds a lease until `until`.
    async fn renew(&self, lease: Lease, until: OffsetDateTime, cx: &Context) -> Result<Renewal, Error>;

    /// Writes how far a job is; whether the lease is still held.
    async fn report(&self, lease: Lease, progress: i16, note: &str, cx: &Context) -> Result<bool, Error>;

    /// Ends the attempt at `job`, which is as [`Work::claim`] returned it. `None` when the lease is
    /// not held any more; nothing is written then.
    async fn finish(&self, lease: Lease, job: &Job, ending: &Ending, cx: &Context) -> Result<Option<Job>, Error>;

    /// Gives the free places of up to `limit` lanes to those who wait for them; how many lanes there
    /// were. Whoever frees a place does so at once; this is for those who died in between.
    async fn fill_lanes(&self, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// Counts up to `limit` lanes anew, the longest ones, and deletes those that are empty.
    async fn review_lanes(&self, limit: i64, cx: &Context) -> Result<(), Error>;

    /// When the next job of a lane may begin that begins at most one in `gap`. Whoever receives that
    /// time has it alone.
    async fn pace(&self, queue: Queue, lane: &LaneKey, gap: Duration, cx: &Context) -> Result<OffsetDateTime, Error>;

    /// Counts a mail before it is sent; whether the limits allow it. Another attempt at its job
    /// counts no other mail, and neither does its address once that is known. Mails to one address
    /// are counted one after the other, since they have a lane of one place.
    async fn count_mail(&self, mail: &OutgoingMail, limits: MailLimits, cx: &Context) -> Result<bool, Error>;

    /// Forgets mails that limits count no more.
    async fn forget_mails(&self, cx: &Context) -> Result<(), Error>;

    /// Queues up to `limit` scheduled jobs whose time has come; how many there were.
    async fn enqueue_due(&self, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// Takes up to `limit` running jobs from workers whose lease has run out; how many there were.
    async fn rescue(&self, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// Publishes messages again for up to `limit` jobs that have had a place since before `before`
    /// and that no worker has claimed; how many there were.
    async fn redeliver(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// Up to `limit` jobs whose time to be kept is over.
    async fn list_expired(&self, limit: i64, cx: &Context) -> Result<Vec<Uuid>, Error>;

    /// Deletes those of these jobs whose time to be kept is still over.
    async fn delete_expired(&self, ids: &[Uuid], cx: &Context) -> Result<(), Error>;
}
