//! Units of work on jobs: jobs are written by the commit, in one statement with the messages that
//! bring them to workers.

use async_trait::async_trait;
use quartet_messaging::{Journal, Message};
use quartet_store::{Context, Timestamp};
use sqlx::QueryBuilder;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::dialect::skip_locked;
use super::job_rows::{JobRow, job_columns};
use super::{Connection, Database, Db, Queries, written};
use crate::domain::{Job, NewJob, Status};
use crate::notifier::JobNotifier;
use crate::store::Lease;
use crate::{Error, events};

/// A unit of work on jobs.
pub(super) type Unit = quartet_messaging::Unit<Database, JobJournal>;

/// What a unit of work writes to jobs, and of what it notifies this process.
pub(super) struct JobJournal {
    write: Option<Write>,
    /// The rows that were written.
    written: Vec<JobRow>,
    /// Receives them once they are committed.
    committed: Option<oneshot::Sender<Vec<JobRow>>>,
    notifier: JobNotifier,
}

/// One statement that writes jobs. A message of the same unit is published only if the job that is
/// its subject is among those that were written.
pub(super) enum Write {
    /// Makes jobs, except for those whose keys are taken.
    Insert(Vec<NewJob>),
    /// Writes a locked job back, without a lease.
    Save(Job),
    /// Requests that a running job ends.
    RequestCancel(Uuid),
    /// Writes what came of an attempt, if its lease is held and its owner has not requested its
    /// end.
    Finish(Lease, Job),
    /// Queues scheduled jobs that are due.
    EnqueueDue(Vec<Uuid>),
    /// Keeps jobs queued that were queued before this time.
    Redeliver(Vec<Uuid>, OffsetDateTime),
}

impl Queries {
    /// Begins a unit of work.
    pub(super) fn begin(&self, cx: &Context) -> Unit {
        let journal = JobJournal {
            write: None,
            written: Vec::new(),
            committed: None,
            notifier: self.notifier.clone(),
        };
        Unit::with(&self.database, cx, &self.publisher, journal)
    }
}

/// Commits a unit with this last write; the jobs that it wrote.
pub(super) async fn commit(mut unit: Unit, write: Write) -> Result<Vec<Job>, Error> {
    match &write {
        Write::Insert(jobs) => {
            let now = unit.cx().now;
            for job in jobs.iter().filter(|job| job.status(now) == Status::Queued) {
                let message = events::job_queued(unit.clock(), job.id, job.queue);
                unit.enqueue(message);
            }
        }
        Write::Save(job) | Write::Finish(_, job) => {
            if job.status == Status::Queued {
                let message = events::job_queued(unit.clock(), job.id, job.queue);
                unit.enqueue(message);
            }
        }
        // The caller has enqueued theirs.
        Write::RequestCancel(_) | Write::EnqueueDue(_) | Write::Redeliver(..) => {}
    }
    let (sender, mut committed) = oneshot::channel();
    unit.journal().committed = Some(sender);
    unit.journal().set(write);
    unit.commit().await?;
    // A unit that has a write sends what it wrote.
    let rows = committed.try_recv().unwrap_or_default();
    rows.into_iter().map(JobRow::into_job).collect()
}

impl JobJournal {
    /// The next statement.
    pub(super) fn set(&mut self, write: Write) {
        self.write = Some(write);
    }
}

#[async_trait]
impl Journal<Database> for JobJournal {
    type Error = Error;

    fn is_empty(&self) -> bool {
        self.write.is_none()
    }

    async fn write(&mut self, connection: &mut Connection, messages: &[Message], cx: &Context) -> Result<(), Error> {
        let Some(write) = self.write.take() else {
            return Ok(quartet_messaging::outbox::append_all(connection, messages).await?);
        };
        let mut statement = written::begin();
        write.push(&mut statement, cx);
        statement.push(concat!(" returning ", job_columns!()));
        let rows = written::with_messages(connection, statement, messages).await?;
        self.written.extend(rows);
        Ok(())
    }

    fn committed(self) {
        for row in &self.written {
            self.notifier.notify(row.id);
        }
        if let Some(committed) = self.committed {
            // The one who waits for it commits.
            let _ = committed.send(self.written);
        }
    }
}

impl Write {
    fn push(&self, statement: &mut QueryBuilder<Db>, cx: &Context) {
        match self {
            Self::Insert(jobs) => push_insert(statement, jobs, cx),
            Self::Save(job) => {
                push_update(statement, job);
                statement.push(" where id = ").push_bind(job.id);
            }
            Self::RequestCancel(id) => {
                statement
                    .push("update jobs set cancel_requested = true, updated_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(" where id = ")
                    .push_bind(*id);
            }
            Self::Finish(lease, job) => {
                push_update(statement, job);
                statement
                    .push(" where id = ")
                    .push_bind(lease.job)
                    .push(" and lease = ")
                    .push_bind(lease.id)
                    .push(" and status = 'running' and not cancel_requested");
            }
            Self::EnqueueDue(ids) => {
                statement
                    .push("update jobs set status = 'queued', updated_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(" where id in (select id from jobs where status = 'scheduled' and run_at <= ")
                    .push_bind(Timestamp(cx.now));
                push_among(statement, ids);
            }
            Self::Redeliver(ids, before) => {
                statement
                    .push("update jobs set updated_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(" where id in (select id from jobs where status = 'queued' and updated_at < ")
                    .push_bind(Timestamp(*before));
                push_among(statement, ids);
            }
        }
    }
}

/// One of several workers that do the same at once writes a row; the others pass over it.
fn push_among(statement: &mut QueryBuilder<Db>, ids: &[Uuid]) {
    statement.push(" and id in (");
    let mut separated = statement.separated(", ");
    for id in ids {
        separated.push_bind(*id);
    }
    statement.push(concat!(")", skip_locked!(), ")"));
}

fn push_insert(statement: &mut QueryBuilder<Db>, jobs: &[NewJob], cx: &Context) {
    let (traceparent, tracestate) = match &cx.trace {
        Some(trace) => (Some(trace.traceparent()), trace.tracestate()),
        None => (None, None),
    };
    statement.push(
        "insert into jobs
            (id, owner, kind, payload, redacted_payload, queue, status, unique_key, max_attempts, run_at, result_ttl,
             created_at, updated_at, traceparent, tracestate) ",
    );
    statement.push_values(jobs, |mut row, job| {
        row.push_bind(job.id)
            .push_bind(job.owner)
            .push_bind(job.kind.name())
            .push_bind(job.payload.clone())
            .push_bind(job.redacted_payload.clone())
            .push_bind(job.queue.name())
            .push_bind(job.status(cx.now).name())
            .push_bind(job.unique_key.as_ref().map(|key| key.as_str().to_owned()))
            .push_bind(job.max_attempts)
            .push_bind(Timestamp(job.run_at))
            .push_bind(job.result_ttl.whole_seconds())
            .push_bind(Timestamp(cx.now))
            .push_bind(Timestamp(cx.now))
            .push_bind(traceparent.clone())
            .push_bind(tracestate.clone());
    });
    statement.push(" on conflict (owner, unique_key) where unique_key is not null do nothing");
}

/// Writes what a change of status changes. A note and a progress that are not begun anew stay as
/// they were reported last.
fn push_update(statement: &mut QueryBuilder<Db>, job: &Job) {
    let (reason, message) = match &job.problem {
        Some(problem) => (Some(problem.reason.clone()), Some(problem.message.clone())),
        None => (None, None),
    };
    let is_waiting = !job.status.has_ended();
    statement
        .push("update jobs set status = ")
        .push_bind(job.status.name())
        .push(", attempts = ")
        .push_bind(job.attempts)
        .push(", progress = case when ")
        .push_bind(is_waiting || job.status == Status::Succeeded)
        .push(" then ")
        .push_bind(job.progress)
        .push(" else progress end, note = case when ")
        .push_bind(is_waiting)
        .push(" then '' else note end, result = ")
        .push_bind(job.result.clone())
        .push(", problem_reason = ")
        .push_bind(reason)
        .push(", problem_message = ")
        .push_bind(message)
        .push(", cancel_requested = ")
        .push_bind(job.cancel_requested)
        .push(", run_at = ")
        .push_bind(Timestamp(job.run_at))
        .push(", updated_at = ")
        .push_bind(Timestamp(job.updated_at))
        .push(", started_at = ")
        .push_bind(job.started_at.map(Timestamp))
        .push(", finished_at = ")
        .push_bind(job.finished_at.map(Timestamp))
        .push(", expires_at = ")
        .push_bind(job.expires_at.map(Timestamp))
        .push(", payload = case when ")
        .push_bind(job.is_redacted())
        .push(" then redacted_payload else payload end, lease = null, lease_until = null");
}
