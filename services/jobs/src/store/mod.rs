//! Where jobs, schedules and webhooks are kept: one trait, two databases.
//!
//! The files of `queries/` are compiled once per database; what differs between the two stands in `postgres.rs` and `sqlite.rs`. Whatever makes a
//! job wait for a worker appends the message that asks for it on the same transaction.

mod postgres;
mod sqlite;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_messaging::{Message, Outgoing};
use quartet_store::page::{Page, Rows};
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{
    Ending, EventType, Filter, Job, Key, Kind, NewJob, NewWebhook, Queue, QueueState, Schedule, Status, Webhook,
    WebhookEdit,
};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// Name of the work queue in the broker; each priority has a queue of its own there.
pub const WORK_QUEUE: &str = "jobs";

/// All that the service keeps.
pub trait Store: Tasks + Work + Queues + Webhooks {}
impl<T: Tasks + Work + Queues + Webhooks> Store for T {}

/// Jobs as their owners see them. Every function with an `owner` sees only what that owner owns.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Makes a job, or finds the one that has its key; the flag tells whether it was made.
    ///
    /// Errors: [`Error::TaskKeyReused`] when the key belongs to a job of another kind or payload.
    async fn insert_job(&self, job: &NewJob, now: OffsetDateTime, deadline: Deadline) -> Result<(Job, bool), Error>;

    /// Makes what jobs there are not, all or none, unless `consumer` has seen the message before.
    async fn insert_jobs_for(
        &self,
        consumer: &str,
        message: &Message,
        jobs: &[NewJob],
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// The job.
    async fn find_job(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Job>, Error>;

    /// Anybody's job.
    async fn find_any_job(&self, id: Uuid, deadline: Deadline) -> Result<Option<Job>, Error>;

    /// A page of the jobs that pass `filter`, the newest first.
    async fn list_jobs(&self, filter: &Filter, page: &Page<Key>, deadline: Deadline) -> Result<Rows<Job>, Error>;

    /// Cancels a job.
    ///
    /// Errors: [`Error::TaskEnded`].
    async fn cancel_job(
        &self,
        owner: Uuid,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Job>, Error>;

    /// Starts a job again that has failed, died or been cancelled.
    ///
    /// Errors: [`Error::TaskNotRetryable`].
    async fn restart_job(
        &self,
        owner: Uuid,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Job>, Error>;

    /// Starts anybody's dead job again.
    async fn replay_job(&self, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Job>, Error>;
}

/// Whose a running job is, as the store knows it: whoever shows the lease may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: Uuid,
    /// Drawn anew for each attempt.
    pub id: Uuid,
}

/// What a worker learns when it renews a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The job is still its own.
    Held,
    /// The job is its own, and its owner wants it to end.
    CancelRequested,
    /// The job is not its own any more.
    Lost,
}

/// Jobs as workers see them.
#[async_trait]
pub trait Work: Send + Sync {
    /// Begins an attempt at a queued job, under `lease` until `until`. `None` when it is not queued: done, cancelled, or taken by another
    /// worker. A job of a paused queue is put aside until the queue is resumed.
    async fn claim(
        &self,
        lease: Lease,
        until: OffsetDateTime,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Job>, Error>;

    /// Holds a lease until `until`.
    async fn renew(&self, lease: Lease, until: OffsetDateTime, deadline: Deadline) -> Result<Renewal, Error>;

    /// Notes how far a job is; whether the lease still counts.
    async fn report(
        &self,
        lease: Lease,
        progress: i16,
        note: &str,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<bool, Error>;

    /// Ends an attempt. `None` when the lease does not count any more; nothing is written then.
    async fn finish(
        &self,
        lease: Lease,
        ending: &Ending,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Job>, Error>;

    /// Queues up to `limit` scheduled jobs whose time has come; how many there were.
    async fn enqueue_due(&self, now: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<usize, Error>;

    /// Takes up to `limit` running jobs from workers whose lease has run out; how many there were.
    async fn rescue(&self, now: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<usize, Error>;

    /// Asks again for up to `limit` jobs that were queued before `before` and that no worker has come for; how many there were.
    async fn ask_again(
        &self,
        before: OffsetDateTime,
        now: OffsetDateTime,
        limit: i64,
        deadline: Deadline,
    ) -> Result<usize, Error>;

    /// Up to `limit` jobs that are to be forgotten.
    async fn list_expired(&self, now: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<Vec<Uuid>, Error>;

    /// Forgets a job, if it is to be forgotten still.
    async fn delete_expired(&self, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error>;
}

/// Queues, and the schedules that fill them.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Keeps the jobs of a queue from beginning, or lets them begin again.
    async fn set_paused(&self, queue: Queue, paused: bool, deadline: Deadline) -> Result<(), Error>;

    /// How full each queue is, the most pressing first.
    async fn queue_states(&self, deadline: Deadline) -> Result<Vec<QueueState>, Error>;

    /// How many jobs of each kind there are in each status that is not a good end.
    async fn count_jobs(&self, deadline: Deadline) -> Result<Vec<(Kind, Status, i64)>, Error>;

    /// Makes a schedule, or changes it to this pattern and kind; one whose pattern stays keeps its next moment.
    async fn put_schedule(&self, schedule: &Schedule, deadline: Deadline) -> Result<(), Error>;

    /// Takes away the schedules that are not among these.
    async fn retain_schedules(&self, names: &[&str], deadline: Deadline) -> Result<(), Error>;

    /// The schedules, by name.
    async fn list_schedules(&self, deadline: Deadline) -> Result<Vec<Schedule>, Error>;

    /// Makes the job of a schedule's moment and moves the schedule on to `next`; `false` when another worker has done so, and nothing was made.
    async fn fire_schedule(
        &self,
        schedule: &Schedule,
        next: OffsetDateTime,
        job: &NewJob,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<bool, Error>;
}

/// Webhooks. Every function with an `owner` sees only what that owner owns.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Makes a webhook, unless the owner has `limit` of them.
    ///
    /// Errors: [`Error::WebhookLimitReached`].
    async fn insert_webhook(
        &self,
        webhook: &NewWebhook,
        limit: i64,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Webhook, Error>;

    /// The webhook.
    async fn find_webhook(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Webhook>, Error>;

    /// A page of the webhooks, the newest first.
    async fn list_webhooks(&self, owner: Uuid, page: &Page<Key>, deadline: Deadline) -> Result<Rows<Webhook>, Error>;

    /// Writes the fields of `edit`.
    async fn update_webhook(
        &self,
        owner: Uuid,
        id: Uuid,
        edit: &WebhookEdit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Webhook>, Error>;

    /// Deletes a webhook; whether there was one.
    async fn delete_webhook(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<bool, Error>;

    /// Forgets all that an owner had, jobs included, unless `consumer` has seen the message before.
    async fn forget_owner(
        &self,
        consumer: &str,
        message: &Message,
        owner: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// The ids of the owner's webhooks that hear of `event`.
    async fn webhooks_for(&self, owner: Uuid, event: EventType, deadline: Deadline) -> Result<Vec<Uuid>, Error>;
}

/// The store over a database that is open and migrated.
pub fn over(database: Database, clock: Clock, outgoing: Outgoing) -> Box<dyn Store> {
    match database {
        Database::Postgres(pool) => Box::new(postgres::Queries { pool, clock, outgoing }),
        Database::Sqlite(pool) => Box::new(sqlite::Queries { pool, clock, outgoing }),
    }
}

/// A stored name that this version of the service does not know.
fn unknown(column: &str, name: &str) -> Error {
    sqlx::Error::Decode(format!("{column} `{name}` is not known here").into()).into()
}

/// The kind of that stored name.
fn kind(name: &str) -> Result<Kind, Error> {
    Kind::from_name(name).ok_or_else(|| unknown("kind", name))
}
