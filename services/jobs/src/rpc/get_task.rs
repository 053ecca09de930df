//! GetTask.

use quartet_proto::jobs::v1 as pb;
use quartet_rpc::{Call, User};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{Job, Kind, Status};

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::GetTaskRequest) -> Result<pb::Task, Error> {
    let id = convert::id("task_id", &request.task_id)?;
    let user = call.user()?;
    let job = rpc.store.find_job(user.id, id, &rpc.cx(call)).await?;
    Ok(rpc.task(job.ok_or(Error::TaskNotFound { id })?, user))
}

impl Rpc {
    /// The task of a job as `user` sees it, with a link to its file that is valid from now.
    pub(super) fn task(&self, job: Job, user: &User) -> pb::Task {
        convert::task(job, |job| {
            // An ended session is remembered for as long as its tokens could live, and no longer.
            let life = user.expires_at - user.issued_at;
            let ttl = self.link_ttl.try_into().unwrap_or(life);
            let until = self.clock.now() + life.min(ttl);
            let until = job.expires_at.map_or(until, |expires_at| until.min(expires_at));
            let token = self.links.sign(job.id, user.session_id, until);
            (format!("/api/v1/tasks/{}/result?token={token}", job.id), until)
        })
    }

    /// Whether a job has a file that can be read.
    pub(super) fn has_file(job: &Job) -> bool {
        job.kind == Kind::ExportTodos && job.status == Status::Succeeded
    }
}
