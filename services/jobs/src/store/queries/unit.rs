//! Units of work on jobs: jobs are written by the commit, in one statement with the messages that
//! bring them to workers.

use async_trait::async_trait;
use quartet_messaging::{Journal, Message};
use quartet_store::{Backend, Context, Timestamp};
use sqlx::QueryBuilder;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::dialect::{for_update, skip_locked};
use super::job_rows::JobRow;
use super::{Connection, Database, Db, Queries, greatest, least, written};
use crate::domain::{Job, Lane, LaneKey, NewJob, Queue, Status};
use crate::notifier::JobNotifier;
use crate::store::Lease;
use crate::{Error, events};

/// Places of a lane that one statement gives away at the most.
const ADMITTED_AT_ONCE: usize = 4;

/// A unit of work on jobs.
pub(super) type Unit = quartet_messaging::Unit<Database, JobJournal>;

/// What a unit of work writes to jobs, and of what it notifies this process.
pub(super) struct JobJournal {
    write: Option<Write>,
    /// The jobs that were written.
    written: Vec<Uuid>,
    /// Receives the rows that are written, for the one who commits them.
    rows: Option<oneshot::Sender<Vec<JobRow>>>,
    notifier: JobNotifier,
}

/// One statement that writes jobs, with what it changes in their lanes. It publishes as many of the
/// unit's messages as it leaves jobs that a worker may claim.
pub(super) enum Write {
    /// Makes jobs of one lane, or of none, except for those whose keys are taken. None is made when
    /// the lane would have more than its limit.
    Insert(Vec<NewJob>),
    /// Writes a locked job back that has begun anew, into its lane. Nothing is written when the
    /// lane would have more than its limit.
    Enter(Job, Lane),
    /// Writes a locked job back, without a lease, and what that changes in its lane.
    Save(Job, LaneChange),
    /// Requests that a running job ends.
    RequestCancel(Uuid),
    /// Writes what came of an attempt, if its lease is held and its owner has not requested its
    /// end.
    Finish(Lease, Job, LaneChange),
    /// Queues scheduled jobs of one queue that are due.
    EnqueueDue(Queue, Vec<Uuid>),
    /// Keeps jobs queued that have a place since before this time.
    Redeliver(Vec<Uuid>, OffsetDateTime),
    /// Gives free places of a lane to those who wait for them, as many as the unit has messages.
    Admit(Queue, LaneKey),
}

/// What became of a unit's writes.
pub(super) struct Committed {
    /// The jobs that were written.
    pub(super) jobs: Vec<Job>,
    /// Their lanes that have a free place and jobs that wait for one.
    pub(super) with_room: Vec<(Queue, LaneKey)>,
}

/// What a write changes in the counts of a job's lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneChange {
    pub(super) pending: i32,
    pub(super) waiting: i32,
    pub(super) admitted: i32,
}

/// Jobs that come into a lane.
pub(super) struct Entry<'w> {
    queue: Queue,
    lane: &'w Lane,
    /// How many there are.
    count: i32,
    /// How many of them are queued.
    queued: i32,
    /// Nothing comes in when the owner has a job of this key.
    unless_key: Option<(Uuid, &'w str)>,
}

impl LaneChange {
    /// What changes in the counts of a job's lane when it becomes another one.
    pub(super) fn between(before: &Job, after: &Job) -> Self {
        let count = |job: &Job| {
            let is_pending = !job.status.has_ended();
            let has_place = job.admitted_at.is_some();
            let is_waiting = job.status == Status::Queued && !has_place;
            [is_pending, is_waiting, is_pending && has_place].map(i32::from)
        };
        let (before, after) = (count(before), count(after));
        Self {
            pending: after[0] - before[0],
            waiting: after[1] - before[1],
            admitted: after[2] - before[2],
        }
    }
}

impl Queries {
    /// Begins a unit of work.
    pub(super) fn begin(&self, cx: &Context) -> Unit {
        let journal = JobJournal {
            write: None,
            written: Vec::new(),
            rows: None,
            notifier: self.notifier.clone(),
        };
        Unit::with(&self.database, cx, &self.publisher, journal)
    }

    /// Gives the free places of these lanes to those who wait for them. What cannot be done now, the
    /// sweeper does.
    pub(super) async fn fill(&self, lanes: Vec<(Queue, LaneKey)>, cx: &Context) {
        // The transaction of a scope is yet to be committed, and holds the rows that this would wait
        // for.
        if cx.scope.is_some() {
            return;
        }
        for (queue, key) in lanes {
            if let Err(error) = self.admit(queue, &key, cx).await {
                tracing::warn!(%error, "the next job of a lane gets its place at the next sweep");
            }
        }
    }

    /// Gives the free places of a lane to those who wait for them.
    pub(super) async fn admit(&self, queue: Queue, key: &LaneKey, cx: &Context) -> Result<(), Error> {
        loop {
            let mut unit = self.begin(cx);
            for _ in 0..ADMITTED_AT_ONCE {
                let message = events::job_queued(unit.clock(), queue);
                unit.enqueue(message);
            }
            let admitted = commit(unit, Write::Admit(queue, key.clone())).await?;
            if admitted.jobs.is_empty() {
                // Somebody else has given the places away, or the lane has miscounted.
                return self.recount(queue, key, cx).await;
            }
            if admitted.with_room.is_empty() {
                return Ok(());
            }
        }
    }

    /// Counts a lane anew.
    pub(super) async fn recount(&self, queue: Queue, key: &LaneKey, cx: &Context) -> Result<(), Error> {
        let mut transaction = self.database.begin(cx.deadline, &[]).await?;
        recount(&mut transaction, queue, key).await?;
        Ok(Database::commit(transaction).await?)
    }
}

/// Counts a lane anew on the caller's transaction.
pub(super) async fn recount(connection: &mut Connection, queue: Queue, key: &LaneKey) -> Result<(), Error> {
    // The count has to be a statement of its own: one that waits for the lock does not see what it
    // has waited for.
    sqlx::query(concat!(
        "select width from lanes where queue = $1 and key = $2",
        for_update!()
    ))
    .bind(queue.name())
    .bind(key.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query(
        "update lanes
            set pending = (select count(*) from jobs
                            where jobs.queue = $1 and jobs.lane = $2 and finished_at is null),
                waiting = (select count(*) from jobs
                            where jobs.queue = $1 and jobs.lane = $2 and status = 'queued' and admitted_at is null),
                admitted = (select count(*) from jobs
                             where jobs.queue = $1 and jobs.lane = $2 and finished_at is null
                               and admitted_at is not null)
          where queue = $1 and key = $2",
    )
    .bind(queue.name())
    .bind(key.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Commits a unit with this last write; what it has written.
pub(super) async fn commit(mut unit: Unit, write: Write) -> Result<Committed, Error> {
    let (sender, mut written) = oneshot::channel();
    unit.journal().rows = Some(sender);
    set(&mut unit, write);
    unit.commit().await?;
    // A unit that has a write sends what it wrote.
    let rows = written.try_recv().unwrap_or_default();
    let mut with_room = Vec::new();
    for lane in rows.iter().filter_map(JobRow::lane_with_room) {
        if !with_room.contains(&lane) {
            with_room.push(lane);
        }
    }
    Ok(Committed {
        jobs: rows.into_iter().map(JobRow::into_job).collect::<Result<_, _>>()?,
        with_room,
    })
}

/// Sets the next statement, and enqueues the messages that bring workers to the jobs that it queues.
pub(super) fn set(unit: &mut Unit, write: Write) {
    let queued: Vec<Queue> = match &write {
        Write::Insert(jobs) => {
            let now = unit.cx().now;
            let queued = jobs.iter().filter(|job| job.status(now) == Status::Queued);
            queued.map(|job| job.queue).collect()
        }
        Write::Enter(job, _) | Write::Save(job, _) | Write::Finish(_, job, _) => {
            let is_queued = job.status == Status::Queued;
            is_queued.then_some(job.queue).into_iter().collect()
        }
        Write::EnqueueDue(queue, ids) => vec![*queue; ids.len()],
        // The caller has enqueued theirs.
        Write::RequestCancel(_) | Write::Redeliver(..) | Write::Admit(..) => Vec::new(),
    };
    for queue in queued {
        let message = events::job_queued(unit.clock(), queue);
        unit.enqueue(message);
    }
    unit.journal().write = Some(write);
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
        let rows = written::execute(connection, &write, messages, cx).await?;
        if let Write::Insert(jobs) = &write
            && let Some(NewJob {
                queue,
                lane: Some(lane),
                ..
            }) = jobs.first()
            && lane.limit.is_none()
            && rows.len() < jobs.len()
        {
            // Keys of some were taken, and the lane has counted them.
            recount(connection, *queue, &lane.key).await?;
        }
        self.written.extend(rows.iter().map(|row| row.id));
        if let Some(sender) = self.rows.take() {
            // The one who waits for them commits.
            let _ = sender.send(rows);
        }
        Ok(())
    }

    fn committed(self) {
        for job in self.written {
            self.notifier.notify(job);
        }
    }
}

impl Write {
    /// The jobs that come into a lane by it.
    pub(super) fn entry(&self, cx: &Context) -> Option<Entry<'_>> {
        match self {
            Self::Insert(jobs) => {
                let first = jobs.first()?;
                let lane = first.lane.as_ref()?;
                let queued = jobs.iter().filter(|job| job.status(cx.now) == Status::Queued).count();
                let key = first.unique_key.as_ref().filter(|_| lane.limit.is_some());
                Some(Entry {
                    queue: first.queue,
                    lane,
                    count: i32::try_from(jobs.len()).unwrap_or(i32::MAX),
                    queued: i32::try_from(queued).unwrap_or(i32::MAX),
                    unless_key: key.map(|key| (first.owner, key.as_str())),
                })
            }
            Self::Enter(job, lane) => Some(Entry {
                queue: job.queue,
                lane,
                count: 1,
                queued: 1,
                unless_key: None,
            }),
            Self::Save(..)
            | Self::RequestCancel(_)
            | Self::Finish(..)
            | Self::EnqueueDue(..)
            | Self::Redeliver(..)
            | Self::Admit(..) => None,
        }
    }

    /// Appends the statement. `granted` appends how many places the lane has for its jobs.
    pub(super) fn push(&self, statement: &mut QueryBuilder<Db>, cx: &Context, granted: impl Fn(&mut QueryBuilder<Db>)) {
        match self {
            Self::Insert(jobs) => push_insert(statement, jobs, cx, granted),
            Self::Enter(job, _) => {
                push_update(statement, job);
                statement.push(", admitted_at = case when ");
                granted(statement);
                statement
                    .push(" > 0 then ")
                    .push_bind(Timestamp(cx.now))
                    .push(" end where id = ")
                    .push_bind(job.id)
                    .push(" and ");
                granted(statement);
                statement.push(" is not null");
            }
            Self::Save(job, _) => {
                push_update(statement, job);
                push_place(statement, job);
                statement.push(" where id = ").push_bind(job.id);
            }
            Self::RequestCancel(id) => {
                statement
                    .push("update jobs set cancel_requested = true, updated_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(" where id = ")
                    .push_bind(*id);
            }
            Self::Finish(lease, job, _) => {
                push_update(statement, job);
                push_place(statement, job);
                statement
                    .push(" where id = ")
                    .push_bind(lease.job)
                    .push(" and lease = ")
                    .push_bind(lease.id)
                    .push(" and status = 'running' and not cancel_requested");
            }
            Self::EnqueueDue(_, ids) => {
                statement
                    .push("update jobs set status = 'queued', updated_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(", admitted_at = case when lane is null then ")
                    .push_bind(Timestamp(cx.now))
                    .push(
                        " else admitted_at end
                          where id in (select id from jobs where status = 'scheduled' and run_at <= ",
                    )
                    .push_bind(Timestamp(cx.now));
                push_among(statement, ids);
            }
            Self::Redeliver(ids, before) => {
                statement
                    .push("update jobs set updated_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(", admitted_at = coalesce(admitted_at, ")
                    .push_bind(Timestamp(cx.now))
                    .push(") where id in (select id from jobs where status = 'queued' and updated_at < ")
                    .push_bind(Timestamp(*before))
                    .push(" and (lane is null or admitted_at is not null)");
                push_among(statement, ids);
            }
            Self::Admit(queue, key) => {
                // The number in the text keeps PostgreSQL to the plan along the index: of a limit
                // that it does not know, it expects a good part of all that waits.
                statement
                    .push("update jobs set admitted_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(", updated_at = ")
                    .push_bind(Timestamp(cx.now))
                    .push(" where id in (select id from (select id, turn from jobs where queue = ")
                    .push_bind(queue.name())
                    .push(" and lane = ")
                    .push_bind(key.as_str().to_owned())
                    .push(" and status = 'queued' and admitted_at is null order by turn, id limit ")
                    .push(ADMITTED_AT_ONCE)
                    .push(concat!(skip_locked!(), ") as next order by turn, id limit coalesce("));
                granted(statement);
                statement.push(", 0))");
            }
        }
    }
}

impl Entry<'_> {
    /// Appends the statement that counts the jobs into their lane and returns how many of them have
    /// a place; it returns nothing when they may not come in. Those who came earlier have the first
    /// places.
    pub(super) fn push(&self, statement: &mut QueryBuilder<Db>) {
        let (lane, limit) = (self.lane, self.lane.limit.unwrap_or(i32::MAX));
        let push_granted = |statement: &mut QueryBuilder<Db>| {
            statement
                .push(concat!("case when known.waiting > 0 then 0 else ", least!(), "("))
                .push_bind(self.queued)
                .push(concat!(", ", greatest!(), "(excluded.width - known.admitted, 0)) end"));
        };
        let at_once = self.queued.min(lane.width);
        statement
            .push("insert into lanes as known (queue, key, width, pending, waiting, admitted, granted) select ")
            .push_bind(self.queue.name())
            .push(", ")
            .push_bind(lane.key.as_str().to_owned())
            .push(", ")
            .push_bind(lane.width)
            .push(", ")
            .push_bind(self.count)
            .push(", ")
            .push_bind(self.queued - at_once)
            .push(", ")
            .push_bind(at_once)
            .push(", ")
            .push_bind(at_once)
            .push(" where ")
            .push_bind(self.count <= limit);
        if let Some((owner, key)) = self.unless_key {
            statement
                .push(" and not exists (select 1 from jobs where owner = ")
                .push_bind(owner)
                .push(" and unique_key = ")
                .push_bind(key.to_owned())
                .push(")");
        }
        statement.push(
            " on conflict (queue, key) do update
                 set width = excluded.width,
                     pending = known.pending + excluded.pending,
                     waiting = known.waiting + ",
        );
        statement.push_bind(self.queued).push(" - (");
        push_granted(statement);
        statement.push("), admitted = known.admitted + (");
        push_granted(statement);
        statement.push("), granted = ");
        push_granted(statement);
        statement
            .push(" where known.pending <= ")
            .push_bind(limit - self.count.min(limit))
            .push(" returning granted");
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

fn push_insert(
    statement: &mut QueryBuilder<Db>,
    jobs: &[NewJob],
    cx: &Context,
    granted: impl Fn(&mut QueryBuilder<Db>),
) {
    let (traceparent, tracestate) = match &cx.trace {
        Some(trace) => (Some(trace.traceparent()), trace.tracestate()),
        None => (None, None),
    };
    let lane = jobs.first().and_then(|job| job.lane.as_ref());
    statement.push(
        "insert into jobs
            (id, owner, kind, payload, redacted_payload, queue, status, unique_key, max_attempts, run_at, result_ttl,
             created_at, updated_at, traceparent, tracestate, lane, admitted_at, turn) ",
    );
    let mut queued = 0_i32;
    for (index, job) in jobs.iter().enumerate() {
        statement.push(if index == 0 { "select " } else { " union all select " });
        let mut row = statement.separated(", ");
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
            .push_bind(tracestate.clone())
            .push_bind(lane.map(|lane| lane.key.as_str().to_owned()));
        let is_queued = job.status(cx.now) == Status::Queued;
        if lane.is_none() {
            row.push_bind(is_queued.then_some(Timestamp(cx.now)))
                .push("cast(null as bigint)");
            continue;
        }
        queued += i32::from(is_queued);
        statement.push(", case when ").push_bind(is_queued).push(" and ");
        granted(statement);
        statement
            .push(" >= ")
            .push_bind(queued)
            .push(" then ")
            .push_bind(Timestamp(cx.now))
            .push(" end, ");
        match lane.filter(|lane| lane.is_shared()) {
            Some(lane) => push_turn(statement, job, lane, queued),
            None => {
                statement.push("cast(null as bigint)");
            }
        }
        statement.push(" where ");
        granted(statement);
        statement.push(" is not null");
    }
    // A user's key that is taken meanwhile fails the whole statement, with what the lane has counted.
    if lane.is_none_or(|lane| lane.limit.is_none()) {
        // SQLite takes `on conflict` for a join without it.
        if lane.is_none() {
            statement.push(" where true");
        }
        statement.push(" on conflict (owner, unique_key) where unique_key is not null do nothing");
    }
}

/// Appends the turn of a job in a lane of several owners: the one after its owner's last that
/// waits, but none that has passed (start-time fair queueing). So an owner with few jobs does not
/// wait for all of one with many.
fn push_turn(statement: &mut QueryBuilder<Db>, job: &NewJob, lane: &Lane, ordinal: i32) {
    let push_waiting = |statement: &mut QueryBuilder<Db>, turn: &str| {
        statement
            .push("coalesce((select ")
            .push(turn)
            .push(" from jobs where queue = ")
            .push_bind(job.queue.name())
            .push(" and lane = ")
            .push_bind(lane.key.as_str().to_owned())
            .push(" and status = 'queued' and admitted_at is null and turn is not null");
    };
    statement.push(concat!(greatest!(), "("));
    push_waiting(statement, "max(turn)");
    statement.push(" and owner = ").push_bind(job.owner).push("), 0), ");
    push_waiting(statement, "min(turn)");
    statement.push("), 1) - 1) + ").push_bind(i64::from(ordinal.max(1)));
}

/// Whether and since when the job has a place.
fn push_place(statement: &mut QueryBuilder<Db>, job: &Job) {
    statement
        .push(", admitted_at = ")
        .push_bind(job.admitted_at.map(Timestamp));
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
