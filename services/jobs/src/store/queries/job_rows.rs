//! The row of a job.

use quartet_store::Timestamp;
use quartet_telemetry::TraceContext;
use sqlx::FromRow;
use time::Duration;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Job, Problem, Queue, Status};
use crate::store::{kind, unknown};

/// The columns of a job.
macro_rules! job_columns {
    () => {
        "id, owner, kind, payload, redacted_payload, queue, status, unique_key, attempts, max_attempts, progress, \
         note, result, problem_reason, problem_message, cancel_requested, run_at, result_ttl, created_at, updated_at, \
         started_at, finished_at, expires_at, traceparent, tracestate"
    };
}
pub(super) use job_columns;

#[derive(FromRow)]
pub(super) struct JobRow {
    pub(super) id: Uuid,
    owner: Uuid,
    kind: String,
    payload: Vec<u8>,
    redacted_payload: Option<Vec<u8>>,
    queue: String,
    status: String,
    unique_key: Option<String>,
    attempts: i16,
    max_attempts: i16,
    progress: i16,
    note: String,
    result: Option<Vec<u8>>,
    problem_reason: Option<String>,
    problem_message: Option<String>,
    cancel_requested: bool,
    run_at: Timestamp,
    result_ttl: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    traceparent: Option<String>,
    tracestate: Option<String>,
}

impl JobRow {
    pub(super) fn into_job(self) -> Result<Job, Error> {
        Ok(Job {
            id: self.id,
            owner: self.owner,
            kind: kind(&self.kind)?,
            payload: self.payload,
            redacted_payload: self.redacted_payload,
            queue: Queue::from_name(&self.queue).ok_or_else(|| unknown("queue", &self.queue))?,
            status: Status::from_name(&self.status).ok_or_else(|| unknown("status", &self.status))?,
            unique_key: self.unique_key,
            attempts: self.attempts,
            max_attempts: self.max_attempts,
            progress: self.progress,
            note: self.note,
            result: self.result,
            problem: self.problem_reason.map(|reason| Problem {
                reason,
                message: self.problem_message.unwrap_or_default(),
            }),
            cancel_requested: self.cancel_requested,
            run_at: self.run_at.into(),
            result_ttl: Duration::seconds(self.result_ttl),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            started_at: self.started_at.map(Into::into),
            finished_at: self.finished_at.map(Into::into),
            expires_at: self.expires_at.map(Into::into),
            cause: self
                .traceparent
                .and_then(|parent| TraceContext::parse(&parent, self.tracestate.as_deref())),
        })
    }
}
