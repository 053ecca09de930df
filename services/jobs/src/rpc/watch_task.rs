//! WatchTask.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use quartet_kernel::Deadline;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::{Call, User};
use quartet_store::Context;
use tonic::Status;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::Job;
use crate::notifier::Subscription;

/// How often the store is polled for a task that changes in another process.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Bound on one poll. A bound below that on every statement would take a transaction.
const POLL: Duration = Duration::from_secs(10);
/// Polls that may fail in a row: a store that is away for a while ends no stream.
const MAX_FAILURES: u32 = 20;

/// The task, and again each time that it changes.
pub(super) type Stream = BoxStream<'static, Result<pb::Task, Status>>;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::WatchTaskRequest) -> Result<Stream, Error> {
    let id = convert::id("task_id", &request.task_id)?;
    let user = call.user()?;
    // The subscription begins before the job is read, so that no change falls between the two.
    let changes = rpc.notifier.subscribe();
    let job = rpc.store.find_job(user.id, id, &rpc.cx(call)).await?;
    let job = job.ok_or(Error::TaskNotFound { id })?;
    let watch = Watch {
        rpc: rpc.clone(),
        changes,
        user: user.clone(),
        shown: job.clone(),
        pending: Some(job),
        ended: false,
    };
    Ok(futures::stream::unfold(watch, Watch::next).boxed())
}

struct Watch {
    rpc: Rpc,
    changes: Subscription,
    user: User,
    shown: Job,
    /// What is to be shown next.
    pending: Option<Job>,
    /// Nothing more is to be shown.
    ended: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<pb::Task, Status>, Self)> {
        if self.ended {
            return None;
        }
        let job = match self.pending.take() {
            Some(job) => Ok(Some(job)),
            None => self.change().await,
        };
        let item = match job {
            Ok(Some(job)) => {
                self.ended = job.status.has_ended();
                self.shown = job.clone();
                Ok(self.rpc.task(job, &self.user))
            }
            // It was deleted.
            Ok(None) => return None,
            Err(status) => {
                self.ended = true;
                Err(status)
            }
        };
        Some((item, self))
    }

    /// The job once it differs from what was shown; `None` when it is gone.
    async fn change(&mut self) -> Result<Option<Job>, Status> {
        let mut failures = 0;
        loop {
            tokio::select! {
                () = self.changes.changed(self.shown.id) => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            let cx = Context::new(&self.rpc.clock, Deadline::after(POLL));
            match self.rpc.store.find_job(self.user.id, self.shown.id, &cx).await {
                Ok(Some(job)) if job == self.shown => failures = 0,
                Ok(found) => return Ok(found),
                Err(error) if failures >= MAX_FAILURES => return Err(error.into()),
                Err(_) => failures += 1,
            }
        }
    }
}
