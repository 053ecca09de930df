//! One suite of the store's behaviour, over both databases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "store/lanes.rs"]
mod lanes;
#[path = "store/queues.rs"]
mod queues;
#[path = "store/redacted_payloads.rs"]
mod redacted_payloads;
#[path = "store/tasks.rs"]
mod tasks;
#[path = "store/webhooks.rs"]
mod webhooks;
#[path = "store/work.rs"]
mod work;

use std::sync::Arc;
use std::time::Duration as StdDuration;

use quartet_clock::Clock;
use quartet_jobs::domain::{Ending, Job, Kind, LaneBounds, NewJob, Queue};
use quartet_jobs::notifier::JobNotifier;
use quartet_jobs::store::{Lease, MIGRATIONS, Store, over};
use quartet_kernel::Deadline;
use quartet_messaging::Publisher;
use quartet_store::page::{Page, Start};
use quartet_store::{Context, Database};
use quartet_testkit::database::Fresh;
use time::Duration;
use uuid::Uuid;

/// A migrated store with one owner.
struct Harness {
    store: Arc<dyn Store>,
    database: Database,
    clock: Clock,
    owner: Uuid,
    _fresh: Fresh,
}

impl Harness {
    async fn new(fresh: Fresh) -> Self {
        let database = fresh.open().await;
        MIGRATIONS.up(&database).await.unwrap();
        let clock = Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC));
        Self {
            store: over(database.clone(), Publisher::detached(clock.clone()), JobNotifier::new()).into(),
            database,
            owner: clock.new_id(),
            clock,
            _fresh: fresh,
        }
    }

    /// A statement of now.
    fn cx(&self) -> Context {
        Context::new(&self.clock, Deadline::after(StdDuration::from_secs(20)))
    }

    fn new_job(&self) -> NewJob {
        NewJob::new(
            self.clock.new_id(),
            self.owner,
            Kind::ExportTodos,
            vec![1, 2],
            self.clock.now(),
        )
    }

    /// Makes a job, a second after the one before.
    async fn insert(&self, job: NewJob) -> Job {
        self.clock.advance(Duration::seconds(1));
        self.store.insert_job(&job, &self.cx()).await.unwrap().0
    }

    async fn find(&self, id: Uuid) -> Job {
        self.store.find_any_job(id, &self.cx()).await.unwrap().unwrap()
    }

    /// Begins an attempt at the next job of the default queue, for a minute.
    async fn claim_next(&self) -> Option<(Lease, Job)> {
        self.claim_of(Queue::Default).await
    }

    /// Begins an attempt at the next job of a queue, for a minute.
    async fn claim_of(&self, queue: Queue) -> Option<(Lease, Job)> {
        let until = self.clock.now() + Duration::MINUTE;
        let lease = self.clock.new_id();
        self.store.claim(queue, lease, until, &self.cx()).await.unwrap()
    }

    /// Begins an attempt at this job, for a minute; those that come before it are released.
    async fn claim(&self, job: Uuid) -> Option<(Lease, Job)> {
        let queue = self.find(job).await.queue;
        let (mut others, mut found) = (Vec::new(), None);
        while let Some((lease, claimed)) = self.claim_of(queue).await {
            if claimed.id == job {
                found = Some((lease, claimed));
                break;
            }
            others.push((lease, claimed));
        }
        for (lease, other) in others {
            let released = self.store.finish(lease, &other, &Ending::Released, &self.cx()).await;
            assert!(released.unwrap().is_some());
        }
        found
    }

    /// Messages that bring workers to jobs.
    async fn messages(&self) -> i64 {
        self.number("select count(*) from outbox where kind = 'jobs.task.queued.v1'")
            .await
    }

    /// Executes a statement.
    async fn execute(&self, sql: &'static str) {
        match &self.database {
            Database::Postgres(pool) => drop(sqlx::query(sql).execute(pool.pool()).await.unwrap()),
            Database::Sqlite(pool) => drop(sqlx::query(sql).execute(pool.pool()).await.unwrap()),
        }
    }

    /// What a query returns.
    async fn number(&self, sql: &'static str) -> i64 {
        match &self.database {
            Database::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool.pool()).await.unwrap(),
            Database::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool.pool()).await.unwrap(),
        }
    }
}

/// Bounds of lanes.
const BOUNDS: LaneBounds = LaneBounds {
    per_owner: 2,
    limit: Some(5),
    per_host: 2,
};

fn first_page<K>(size: i32) -> Page<K> {
    Page {
        size,
        start: Start::Number(1),
    }
}

#[test]
fn the_outbox_is_that_of_the_shared_crate() {
    quartet_messaging::schema::assert_copied(&MIGRATIONS);
}
