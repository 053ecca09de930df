//! One suite of the store's behaviour, over both databases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "store/queues.rs"]
mod queues;
#[path = "store/residue.rs"]
mod residue;
#[path = "store/tasks.rs"]
mod tasks;
#[path = "store/webhooks.rs"]
mod webhooks;
#[path = "store/work.rs"]
mod work;

use std::sync::Arc;
use std::time::Duration as StdDuration;

use quartet_clock::Clock;
use quartet_jobs::domain::{Job, Kind, NewJob};
use quartet_jobs::store::{Lease, MIGRATIONS, Store, over};
use quartet_kernel::Deadline;
use quartet_messaging::Outgoing;
use quartet_store::Database;
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use time::Duration;
use uuid::Uuid;

/// A migrated store with one owner.
struct Kept {
    store: Arc<dyn Store>,
    database: Database,
    clock: Clock,
    owner: Uuid,
    _fresh: Fresh,
}

impl Kept {
    async fn new(fresh: Fresh) -> Self {
        let database = fresh.open().await;
        MIGRATIONS.up(&database).await.unwrap();
        let clock = Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC));
        Self {
            store: over(database.clone(), clock.clone(), Outgoing::unheard(clock.clone())).into(),
            database,
            owner: clock.new_id(),
            clock,
            _fresh: fresh,
        }
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
        self.store.insert_job(&job, self.clock.now(), soon()).await.unwrap().0
    }

    async fn find(&self, id: Uuid) -> Job {
        self.store.find_any_job(id, soon()).await.unwrap().unwrap()
    }

    /// Begins an attempt, for a minute.
    async fn claim(&self, job: Uuid) -> Option<(Lease, Job)> {
        let lease = Lease {
            job,
            id: self.clock.new_id(),
        };
        let now = self.clock.now();
        let claimed = self
            .store
            .claim(lease, now + Duration::MINUTE, now, soon())
            .await
            .unwrap();
        claimed.map(|job| (lease, job))
    }

    /// Messages that ask a worker for this job.
    async fn asked(&self, job: Uuid) -> i64 {
        let sql = "select count(*) from outbox where subject = $1 and kind = 'jobs.task.queued.v1'";
        let subject = job.to_string();
        match &self.database {
            Database::Postgres(pool) => sqlx::query_scalar(sql)
                .bind(subject)
                .fetch_one(pool.pool())
                .await
                .unwrap(),
            Database::Sqlite(pool) => sqlx::query_scalar(sql)
                .bind(subject)
                .fetch_one(pool.pool())
                .await
                .unwrap(),
        }
    }
}

fn soon() -> Deadline {
    Deadline::after(StdDuration::from_secs(20))
}

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
