//! The row of a job.

use quartet_store::Timestamp;
use quartet_telemetry::TraceContext;
use sqlx::FromRow;
use time::Duration;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Job, LaneKey, Problem, Queue, Status};
use crate::store::{kind, unknown};

/// The columns of a job.
macro_rules! job_columns {
    () => {
        "id, owner, kind, payload, redacted_payload, queue, lane, admitted_at, status, unique_key, attempts, \
         max_attempts, progress, note, result, problem_reason, problem_message, cancel_requested, run_at, \
         result_ttl, created_at, updated_at, started_at, finished_at, expires_at, traceparent, tracestate"
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
    lane: Option<String>,
    pub(super) admitted_at: Option<Timestamp>,
    pub(super) status: String,
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
    /// Whether the write left the job's lane with a place and with jobs that wait for it.
    #[sqlx(default)]
    pub(super) has_room: bool,
}

impl JobRow {
    /// The job's lane, if the write left a place in it and jobs that wait for one.
    pub(super) fn lane_with_room(&self) -> Option<(Queue, LaneKey)> {
        let queue = Queue::from_name(&self.queue)?;
        Some((queue, self.lane_key().filter(|_| self.has_room)?))
    }

    /// The key of its lane.
    pub(super) fn lane_key(&self) -> Option<LaneKey> {
        self.lane.clone().map(LaneKey::stored)
    }

    pub(super) fn into_job(self) -> Result<Job, Error> {
        let lane = self.lane_key();
        Ok(Job {
            id: self.id,
            owner: self.owner,
            kind: kind(&self.kind)?,
            payload: self.payload,
            redacted_payload: self.redacted_payload,
            queue: Queue::from_name(&self.queue).ok_or_else(|| unknown("queue", &self.queue))?,
            lane,
            admitted_at: self.admitted_at.map(Into::into),
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
