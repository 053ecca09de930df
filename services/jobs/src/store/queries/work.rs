//! The queries on jobs as workers see them.

use async_trait::async_trait;
use quartet_store::{Backend, Context, Timestamp};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::dialect::{among, bind_ids, for_update, skip_locked};
use super::job_rows::{JobRow, job_columns};
use super::unit::{Unit, Write, commit};
use super::{Database, Queries};
use crate::domain::{Ending, Job, Queue, Status};
use crate::store::{Lease, Renewal, Work};
use crate::{Error, events};

#[async_trait]
impl Work for Queries {
    async fn claim(&self, lease: Lease, until: OffsetDateTime, cx: &Context) -> Result<Option<Job>, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let row: Option<JobRow> = sqlx::query_as(concat!(
            "update jobs
                set status = case when paused then 'scheduled' else 'running' end,
                    attempts = case when paused then attempts else attempts + 1 end,
                    progress = 0,
                    note = '',
                    started_at = case when paused then started_at else $4 end,
                    updated_at = $4,
                    lease = case when paused then null else $2 end,
                    lease_until = case when paused then null else $3 end
               from queues
              where jobs.id = $1 and status = 'queued' and queues.name = jobs.queue
          returning ",
            job_columns!()
        ))
        .bind(lease.job)
        .bind(lease.id)
        .bind(Timestamp(until))
        .bind(Timestamp(cx.now))
        .fetch_optional(&mut *single)
        .await?;
        Database::finish(single).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let job = row.into_job()?;
        self.notifier.notify(job.id);
        // A queue is paused: the job waits for the sweeper of a later time.
        Ok(Some(job).filter(|job| job.status == Status::Running))
    }

    async fn renew(&self, lease: Lease, until: OffsetDateTime, cx: &Context) -> Result<Renewal, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let cancel: Option<bool> = sqlx::query_scalar(
            "update jobs
                set lease_until = $3
              where id = $1 and lease = $2 and status = 'running'
          returning cancel_requested",
        )
        .bind(lease.job)
        .bind(lease.id)
        .bind(Timestamp(until))
        .fetch_optional(&mut *single)
        .await?;
        Database::finish(single).await?;
        Ok(match cancel {
            None => Renewal::Lost,
            Some(true) => Renewal::CancelRequested,
            Some(false) => Renewal::Held,
        })
    }

    async fn report(&self, lease: Lease, progress: i16, note: &str, cx: &Context) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let done = sqlx::query(
            "update jobs
                set progress = $3, note = $4, updated_at = $5
              where id = $1 and lease = $2 and status = 'running'",
        )
        .bind(lease.job)
        .bind(lease.id)
        .bind(progress)
        .bind(note)
        .bind(Timestamp(cx.now))
        .execute(&mut *single)
        .await?;
        Database::finish(single).await?;
        self.notifier.notify(lease.job);
        Ok(done.rows_affected() > 0)
    }

    async fn finish(&self, lease: Lease, job: &Job, ending: &Ending, cx: &Context) -> Result<Option<Job>, Error> {
        // Nobody but the holder of the lease changes a running job, except for a request to cancel
        // it.
        let mut ended = job.clone();
        ended.end(ending.clone(), cx.now);
        let written = commit(self.begin(cx), Write::Finish(lease, ended)).await?;
        if let Some(ended) = written.into_iter().next() {
            return Ok(Some(ended));
        }
        let mut unit = self.begin(cx);
        let row: Option<JobRow> = sqlx::query_as(concat!(
            "select ",
            job_columns!(),
            " from jobs where id = $1 and lease = $2 and status = 'running'",
            for_update!()
        ))
        .bind(lease.job)
        .bind(lease.id)
        .fetch_optional(unit.connection().await?)
        .await?;
        let Some(mut job) = row.map(JobRow::into_job).transpose()? else {
            return Ok(None);
        };
        job.end(ending.clone(), cx.now);
        commit(unit, Write::Save(job.clone())).await?;
        Ok(Some(job))
    }

    async fn enqueue_due(&self, limit: i64, cx: &Context) -> Result<usize, Error> {
        let due: Vec<(Uuid, String)> = sqlx::query_as(
            "select id, queue
               from jobs
              where status = 'scheduled' and run_at <= $1
                and queue in (select name from queues where not paused)
           order by run_at
              limit $2",
        )
        .bind(Timestamp(cx.now))
        .bind(limit)
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        self.enqueue(due, Write::EnqueueDue, cx).await
    }

    async fn rescue(&self, limit: i64, cx: &Context) -> Result<usize, Error> {
        let has_orphans: bool =
            sqlx::query_scalar("select exists (select 1 from jobs where status = 'running' and lease_until < $1)")
                .bind(Timestamp(cx.now))
                .fetch_one(&mut *self.database.read(cx.deadline).await?)
                .await?;
        if !has_orphans {
            return Ok(0);
        }
        let mut unit = self.begin(cx);
        let rows: Vec<JobRow> = sqlx::query_as(concat!(
            "select ",
            job_columns!(),
            " from jobs where status = 'running' and lease_until < $1 order by lease_until limit $2",
            skip_locked!()
        ))
        .bind(Timestamp(cx.now))
        .bind(limit)
        .fetch_all(unit.connection().await?)
        .await?;
        let count = rows.len();
        let mut rescued = Vec::with_capacity(count);
        for row in rows {
            let mut job = row.into_job()?;
            let random = u32::from_le_bytes(unit.clock().random());
            let pause = job.kind.backoff().pause(job.attempts, random);
            job.rescue(cx.now + Duration::try_from(pause).unwrap_or(Duration::HOUR), cx.now);
            rescued.push(job);
        }
        save_all(unit, rescued).await?;
        Ok(count)
    }

    async fn redeliver(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<usize, Error> {
        let lost: Vec<(Uuid, String)> = sqlx::query_as(
            "select id, queue from jobs where status = 'queued' and updated_at < $1 order by updated_at limit $2",
        )
        .bind(Timestamp(before))
        .bind(limit)
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        self.enqueue(lost, |ids| Write::Redeliver(ids, before), cx).await
    }

    async fn list_expired(&self, limit: i64, cx: &Context) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar("select id from jobs where expires_at <= $1 order by expires_at limit $2")
            .bind(Timestamp(cx.now))
            .bind(limit)
            .fetch_all(&mut *self.database.read(cx.deadline).await?)
            .await?;
        Ok(ids)
    }

    async fn delete_expired(&self, ids: &[Uuid], cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        sqlx::query(concat!("delete from jobs where expires_at <= $2 and id", among!("$1")))
            .bind(bind_ids(ids))
            .bind(Timestamp(cx.now))
            .execute(&mut *single)
            .await?;
        Ok(Database::finish(single).await?)
    }
}

impl Queries {
    /// Publishes the messages of those of these jobs that `write` writes; how many there were.
    async fn enqueue(
        &self,
        jobs: Vec<(Uuid, String)>,
        write: impl FnOnce(Vec<Uuid>) -> Write,
        cx: &Context,
    ) -> Result<usize, Error> {
        if jobs.is_empty() {
            return Ok(0);
        }
        let mut unit = self.begin(cx);
        let mut ids = Vec::with_capacity(jobs.len());
        for (id, queue) in jobs {
            let queue = Queue::from_name(&queue).unwrap_or_default();
            let message = events::job_queued(unit.clock(), id, queue);
            unit.enqueue(message);
            ids.push(id);
        }
        Ok(commit(unit, write(ids)).await?.len())
    }
}

async fn save_all(mut unit: Unit, jobs: Vec<Job>) -> Result<(), Error> {
    let mut jobs = jobs.into_iter().peekable();
    while let Some(job) = jobs.next() {
        if jobs.peek().is_none() {
            commit(unit, Write::Save(job)).await?;
            return Ok(());
        }
        unit.journal().set(Write::Save(job));
        unit.flush().await?;
    }
    Ok(())
}
