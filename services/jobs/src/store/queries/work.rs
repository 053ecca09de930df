// Jobs as workers see them. Compiled once per database.

use async_trait::async_trait;
use quartet_messaging::outbox;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::super::{Lease, Renewal, Work};
use super::rows::{JobRow, ask};
use super::{Connection, Queries};
use crate::Error;
use crate::domain::{Ending, Job, Queue};

#[async_trait]
impl Work for Queries {
    async fn claim(&self, lease: Lease, until: OffsetDateTime, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Job>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let row: Option<JobRow> = sqlx::query_as(concat!(
            "select ",
            job_columns!(),
            " from jobs where id = $1 and status = 'queued'",
            locking!()
        ))
        .bind(lease.job)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(mut job) = row.map(JobRow::into_job).transpose()? else {
            return Ok(None);
        };
        let paused: Option<bool> = sqlx::query_scalar("select paused from queues where name = $1")
            .bind(job.queue.name())
            .fetch_optional(&mut *transaction)
            .await?;
        if paused == Some(true) {
            sqlx::query("update jobs set status = 'scheduled', updated_at = $2 where id = $1")
                .bind(lease.job)
                .bind(Timestamp(now))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            return Ok(None);
        }
        job.begin(now);
        self.save(&mut transaction, &job).await?;
        sqlx::query("update jobs set lease = $2, lease_until = $3 where id = $1")
            .bind(lease.job)
            .bind(lease.id)
            .bind(Timestamp(until))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(job))
    }

    async fn renew(&self, lease: Lease, until: OffsetDateTime, deadline: Deadline) -> Result<Renewal, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let cancel: Option<bool> = sqlx::query_scalar(
            "update jobs set lease_until = $3 where id = $1 and lease = $2 and status = 'running' returning cancel_requested",
        )
        .bind(lease.job)
        .bind(lease.id)
        .bind(Timestamp(until))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(match cancel {
            None => Renewal::Lost,
            Some(true) => Renewal::CancelRequested,
            Some(false) => Renewal::Held,
        })
    }

    async fn report(&self, lease: Lease, progress: i16, note: &str, now: OffsetDateTime, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let done = sqlx::query(
            "update jobs set progress = $3, note = $4, updated_at = $5 where id = $1 and lease = $2 and status = 'running'",
        )
        .bind(lease.job)
        .bind(lease.id)
        .bind(progress)
        .bind(note)
        .bind(Timestamp(now))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn finish(&self, lease: Lease, ending: &Ending, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Job>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let row: Option<JobRow> = sqlx::query_as(concat!(
            "select ",
            job_columns!(),
            " from jobs where id = $1 and lease = $2 and status = 'running'",
            locking!()
        ))
        .bind(lease.job)
        .bind(lease.id)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(mut job) = row.map(JobRow::into_job).transpose()? else {
            return Ok(None);
        };
        job.end(ending.clone(), now);
        self.save(&mut transaction, &job).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(Some(job))
    }

    async fn enqueue_due(&self, now: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<usize, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let due: Vec<(Uuid, String)> = sqlx::query_as(concat!(
            "update jobs set status = 'queued', updated_at = $1
              where id in (select id from jobs
                            where status = 'scheduled' and run_at <= $1 and queue in (select name from queues where not paused)
                         order by run_at limit $2",
            passing_over_locked!(),
            ") returning id, queue"
        ))
        .bind(Timestamp(now))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        self.ask_for(&mut transaction, &due).await?;
        transaction.commit().await?;
        Ok(due.len())
    }

    async fn rescue(&self, now: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<usize, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let rows: Vec<JobRow> = sqlx::query_as(concat!(
            "select ",
            job_columns!(),
            " from jobs where status = 'running' and lease_until < $1 order by lease_until limit $2",
            passing_over_locked!()
        ))
        .bind(Timestamp(now))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        let count = rows.len();
        for row in rows {
            let mut job = row.into_job()?;
            let pause = job.kind.backoff().pause(job.attempts, u32::from_le_bytes(self.clock.random()));
            job.rescue(now + Duration::try_from(pause).unwrap_or(Duration::HOUR), now);
            self.save(&mut transaction, &job).await?;
        }
        transaction.commit().await?;
        Ok(count)
    }

    async fn ask_again(&self, before: OffsetDateTime, now: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<usize, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let lost: Vec<(Uuid, String)> = sqlx::query_as(concat!(
            "update jobs set updated_at = $2
              where id in (select id from jobs where status = 'queued' and updated_at < $1 order by updated_at limit $3",
            passing_over_locked!(),
            ") returning id, queue"
        ))
        .bind(Timestamp(before))
        .bind(Timestamp(now))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        self.ask_for(&mut transaction, &lost).await?;
        transaction.commit().await?;
        Ok(lost.len())
    }

    async fn list_expired(&self, now: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<Vec<Uuid>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let ids = sqlx::query_scalar("select id from jobs where expires_at <= $1 order by expires_at limit $2")
            .bind(Timestamp(now))
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
        Ok(ids)
    }

    async fn delete_expired(&self, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query("delete from jobs where id = $1 and expires_at <= $2")
            .bind(id)
            .bind(Timestamp(now))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Queries {
    /// Appends the messages that ask for these jobs; the caller commits.
    async fn ask_for(&self, connection: &mut Connection, jobs: &[(Uuid, String)]) -> Result<(), Error> {
        let messages: Vec<_> =
            jobs.iter().map(|(id, queue)| ask(&self.clock, *id, Queue::from_name(queue).unwrap_or_default())).collect();
        outbox::append_all(connection, &messages).await?;
        if !messages.is_empty() {
            self.outgoing.said();
        }
        Ok(())
    }
}
