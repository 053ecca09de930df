//! Queues, and the schedules that fill them.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use time::OffsetDateTime;

use crate::Error;
use crate::domain::{Kind, NewJob, Queue, QueueState, Schedule, Status};

/// Queues, and the schedules that fill them.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Keeps the jobs of a queue from beginning, or lets them begin again.
    async fn set_paused(&self, queue: Queue, paused: bool, cx: &Context) -> Result<(), Error>;

    /// How full each queue is, the most urgent first.
    async fn queue_states(&self, cx: &Context) -> Result<Vec<QueueState>, Error>;

    /// How many jobs of each kind there are in each status that is not a good end.
    async fn count_jobs(&self, cx: &Context) -> Result<Vec<(Kind, Status, i64)>, Error>;

    /// Makes a schedule, or changes it to this pattern and kind; one whose pattern stays keeps its
    /// next time.
    async fn put_schedule(&self, schedule: &Schedule, cx: &Context) -> Result<(), Error>;

    /// Deletes the schedules that are not among these.
    async fn retain_schedules(&self, names: &[&str], cx: &Context) -> Result<(), Error>;

    /// A page of the schedules, by name.
    async fn list_schedules(&self, page: &Page<String>, cx: &Context) -> Result<PageResult<Schedule>, Error>;

    /// All schedules, by name.
    async fn list_all_schedules(&self, cx: &Context) -> Result<Vec<Schedule>, Error>;

    /// Makes the job of the schedule's next time and moves the schedule on to `next`; `false` when
    /// another worker has done so, and nothing was made.
    async fn fire_schedule(
        &self,
        schedule: &Schedule,
        next: OffsetDateTime,
        job: &NewJob,
        cx: &Context,
    ) -> Result<bool, Error>;
}
