//! GetTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::Call;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Job, Kind, Status};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetTaskRequest) -> Result<pb::Task, Error> {
    let id = convert::id("task_id", &request.task_id)?;
    let job = rpc.store.find_job(call.user()?.id, id, &rpc.cx(call)).await?;
    Ok(rpc.task(job.ok_or(Error::TaskNotFound { id })?))
}

impl Rpc {
    /// The task of a job, with a link to its file that is valid from now.
    pub(super) fn task(&self, job: Job) -> pb::Task {
        convert::task(job, |job| {
            let until = self.clock.now() + self.link_ttl;
            let until = job.expires_at.map_or(until, |expires_at| until.min(expires_at));
            let token = self.links.sign(job.id, until);
            (format!("/api/v1/tasks/{}/result?token={token}", job.id), until)
        })
    }

    /// Whether a job has a file that can be read.
    pub(super) fn has_file(job: &Job) -> bool {
        job.kind == Kind::ExportTodos && job.status == Status::Succeeded
    }
}
