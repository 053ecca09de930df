//! GetTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Job, Kind, Status};

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::GetTaskRequest>) -> Result<Response<pb::Task>, Error> {
    let call = Call::of(&request)?;
    let id = convert::id("task_id", &request.get_ref().task_id)?;
    let job = rpc.store.find_job(call.user()?.id, id, call.deadline).await?;
    Ok(Response::new(rpc.task(job.ok_or(Error::TaskNotFound { id })?)))
}

impl Rpc {
    /// The task of a job, with a link to its file that begins to count now.
    pub(super) fn task(&self, job: Job) -> pb::Task {
        convert::task(job, |job| {
            let until = self.clock.now() + self.link_ttl;
            let until = job.expires_at.map_or(until, |forgotten| until.min(forgotten));
            let token = self.links.sign(job.id, until);
            (format!("/api/v1/tasks/{}/result?token={token}", job.id), until)
        })
    }

    /// Whether a job has a file that can be read.
    pub(super) fn has_file(job: &Job) -> bool {
        job.kind == Kind::ExportTodos && job.status == Status::Succeeded
    }
}
