// The row of a job, and what every query on jobs does: read it, lock it, write it back, ask a worker for it. Compiled once per database.

use quartet_clock::Clock;
use quartet_messaging::{Message, outbox};
use quartet_store::Timestamp;
use quartet_telemetry::TraceContext;
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::super::{WORK_QUEUE, kind, unknown};
use super::{Connection, Queries};
use crate::Error;
use crate::domain::{Job, NewJob, Problem, Queue, Status};
use crate::worker::priority;

/// The columns of a job.
macro_rules! job_columns {
    () => {
        "id, owner, kind, payload, residue, queue, status, unique_key, attempts, max_attempts, progress, note, result, problem_reason, problem_message, \
         cancel_requested, run_at, result_ttl, created_at, updated_at, started_at, finished_at, expires_at, \
         traceparent, tracestate"
    };
}

#[derive(FromRow)]
pub(super) struct JobRow {
    id: Uuid,
    owner: Uuid,
    kind: String,
    payload: Vec<u8>,
    residue: Option<Vec<u8>>,
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
            residue: self.residue,
            queue: Queue::from_name(&self.queue).ok_or_else(|| unknown("queue", &self.queue))?,
            status: Status::from_name(&self.status).ok_or_else(|| unknown("status", &self.status))?,
            unique_key: self.unique_key,
            attempts: self.attempts,
            max_attempts: self.max_attempts,
            progress: self.progress,
            note: self.note,
            result: self.result,
            problem: self.problem_reason.map(|reason| Problem { reason, message: self.problem_message.unwrap_or_default() }),
            cancel_requested: self.cancel_requested,
            run_at: self.run_at.into(),
            result_ttl: Duration::seconds(self.result_ttl),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            started_at: self.started_at.map(Into::into),
            finished_at: self.finished_at.map(Into::into),
            expires_at: self.expires_at.map(Into::into),
            cause: self.traceparent.and_then(|parent| TraceContext::parse(&parent, self.tracestate.as_deref())),
        })
    }
}

/// The message that asks a worker for a job.
pub(super) fn ask(clock: &Clock, id: Uuid, queue: Queue) -> Message {
    Message::work(clock, "/jobs", WORK_QUEUE, priority(queue), "jobs.task.queued.v1", id, &())
}

impl Queries {
    /// Makes a job, and the message that asks for it when it is due; `None` when the key is taken.
    pub(super) async fn put(&self, connection: &mut Connection, job: &NewJob, now: OffsetDateTime) -> Result<Option<Job>, Error> {
        let status = if job.run_at > now { Status::Scheduled } else { Status::Queued };
        let place = TraceContext::current();
        let row: Option<JobRow> = sqlx::query_as(concat!(
            "insert into jobs (id, owner, kind, payload, residue, queue, status, unique_key, max_attempts, run_at, result_ttl, created_at, updated_at,
                               traceparent, tracestate)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)
        on conflict (owner, unique_key) where unique_key is not null do nothing
          returning ",
            job_columns!()
        ))
        .bind(job.id)
        .bind(job.owner)
        .bind(job.kind.name())
        .bind(&job.payload)
        .bind(job.residue.as_deref())
        .bind(job.queue.name())
        .bind(status.name())
        .bind(job.unique_key.as_ref().map(|key| key.as_str()))
        .bind(job.max_attempts)
        .bind(Timestamp(job.run_at))
        .bind(job.result_ttl.whole_seconds())
        .bind(Timestamp(now))
        .bind(place.as_ref().map(TraceContext::traceparent))
        .bind(place.as_ref().and_then(TraceContext::tracestate))
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        if status == Status::Queued {
            outbox::append(connection, &ask(&self.clock, job.id, job.queue)).await?;
        }
        row.into_job().map(Some)
    }

    /// Writes a job back that was locked, without a lease, and asks for it when it waits for a worker.
    pub(super) async fn save(&self, connection: &mut Connection, job: &Job) -> Result<(), Error> {
        sqlx::query(
            "update jobs
                set status = $2, attempts = $3, progress = $4, note = $5, result = $6, problem_reason = $7, problem_message = $8,
                    cancel_requested = $9, run_at = $10, updated_at = $11, started_at = $12, finished_at = $13, expires_at = $14,
                    payload = case when $15 then residue else payload end, lease = null, lease_until = null
              where id = $1",
        )
        .bind(job.id)
        .bind(job.status.name())
        .bind(job.attempts)
        .bind(job.progress)
        .bind(&job.note)
        .bind(job.result.as_deref())
        .bind(job.problem.as_ref().map(|problem| problem.reason.as_str()))
        .bind(job.problem.as_ref().map(|problem| problem.message.as_str()))
        .bind(job.cancel_requested)
        .bind(Timestamp(job.run_at))
        .bind(Timestamp(job.updated_at))
        .bind(job.started_at.map(Timestamp))
        .bind(job.finished_at.map(Timestamp))
        .bind(job.expires_at.map(Timestamp))
        .bind(job.is_spent())
        .execute(&mut *connection)
        .await?;
        if job.status == Status::Queued {
            outbox::append(connection, &ask(&self.clock, job.id, job.queue)).await?;
        }
        Ok(())
    }
}
