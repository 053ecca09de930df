//! Jobs as their owners see them.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use uuid::Uuid;

use crate::Error;
use crate::domain::{Filter, Job, Key, LaneBounds, NewJob};

/// Jobs as their owners see them. Every function with an `owner` sees only what that owner owns.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Makes a job, or finds the one that has its key; the flag is true if it was made.
    ///
    /// Errors: [`Error::TaskKeyReused`] when the key belongs to a job of another kind or payload,
    /// [`Error::QuotaExceeded`] when its lane is full.
    async fn insert_job(&self, job: &NewJob, cx: &Context) -> Result<(Job, bool), Error>;

    /// The job.
    async fn find_job(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Job>, Error>;

    /// Anybody's job.
    async fn find_any_job(&self, id: Uuid, cx: &Context) -> Result<Option<Job>, Error>;

    /// A page of the jobs that pass `filter`, the newest first.
    async fn list_jobs(&self, filter: &Filter, page: &Page<Key>, cx: &Context) -> Result<PageResult<Job>, Error>;

    /// Cancels a job.
    ///
    /// Errors: [`Error::TaskEnded`].
    async fn cancel_job(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Job>, Error>;

    /// Starts a job again that has failed, died or been cancelled. If it waits in a lane, that has
    /// these bounds from now on.
    ///
    /// Errors: [`Error::TaskNotRetryable`], [`Error::QuotaExceeded`] when its lane is full.
    async fn restart_job(&self, owner: Uuid, id: Uuid, bounds: LaneBounds, cx: &Context) -> Result<Option<Job>, Error>;

    /// Starts anybody's dead job again. If it waits in a lane, that has these bounds from now on.
    async fn replay_job(&self, id: Uuid, bounds: LaneBounds, cx: &Context) -> Result<Option<Job>, Error>;
}
