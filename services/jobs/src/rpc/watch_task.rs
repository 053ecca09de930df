//! WatchTask.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use quartet_kernel::Deadline;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Rpc, convert};
use crate::Error;
use crate::changes::Listener;
use crate::domain::Job;

/// How often a task is looked at that changes in another process.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Bound on one look.
const LOOK: Duration = Duration::from_secs(5);
/// Looks that may fail in a row: a store that is away for a moment ends no stream.
const PATIENCE: u32 = 20;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::WatchTaskRequest>,
) -> Result<Response<BoxStream<'static, Result<pb::Task, Status>>>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("task_id", &request.get_ref().task_id)?;
    let user = call.user()?;
    // Listening begins before looking, so that nothing falls between the two.
    let changes = rpc.changes.listen();
    let job = rpc.store.find_job(user.id, id, call.deadline).await?;
    let job = job.ok_or(Error::TaskNotFound { id })?;
    let watch = Watch {
        rpc: rpc.clone(),
        changes,
        owner: user.id,
        shown: job.clone(),
        pending: Some(job),
        ended: false,
    };
    Ok(Response::new(futures::stream::unfold(watch, Watch::next).boxed()))
}

struct Watch {
    rpc: Rpc,
    changes: Listener,
    owner: Uuid,
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
                Ok(self.rpc.task(job))
            }
            // It was forgotten.
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
                () = self.changes.of(self.shown.id) => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let deadline = Deadline::after(LOOK);
            match self.rpc.store.find_job(self.owner, self.shown.id, deadline).await {
                Ok(Some(job)) if job == self.shown => failures = 0,
                Ok(found) => return Ok(found),
                Err(error) if failures >= PATIENCE => return Err(error.into()),
                Err(_) => failures += 1,
            }
        }
    }
}
