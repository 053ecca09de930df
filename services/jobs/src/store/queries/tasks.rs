// Jobs as their owners see them. Compiled once per database.

use async_trait::async_trait;
use quartet_messaging::{Message, inbox};
use quartet_kernel::Deadline;
use quartet_store::page::{Page, Rows};
use sqlx::QueryBuilder;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::Tasks;
use super::rows::JobRow;
use super::{Connection, Db, Queries};
use crate::Error;
use crate::domain::{Filter, Job, Key, NewJob, Status};

#[async_trait]
impl Tasks for Queries {
    async fn insert_job(&self, job: &NewJob, now: OffsetDateTime, deadline: Deadline) -> Result<(Job, bool), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // The job that has the key may be forgotten between the two statements; the key is free then.
        for _ in 0..3 {
            if let Some(made) = self.put(&mut transaction, job, now).await? {
                transaction.commit().await?;
                self.outgoing.said();
                return Ok((made, true));
            }
            let key = job.unique_key.as_ref().map(|key| key.as_str());
            if let Some(found) = with_key(&mut transaction, job.owner, key).await? {
                return match job.is_of(&found) {
                    true => Ok((found, false)),
                    false => Err(Error::TaskKeyReused { id: found.id }),
                };
            }
        }
        Err(sqlx::Error::RowNotFound.into())
    }

    async fn insert_jobs_for(
        &self,
        consumer: &str,
        message: &Message,
        jobs: &[NewJob],
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, consumer, message.id, now).await? {
            return Ok(());
        }
        for job in jobs {
            self.put(&mut transaction, job, now).await?;
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(())
    }

    async fn find_job(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Job>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<JobRow> = sqlx::query_as(concat!("select ", job_columns!(), " from jobs where id = $1 and owner = $2"))
            .bind(id)
            .bind(owner)
            .fetch_optional(&mut *connection)
            .await?;
        row.map(JobRow::into_job).transpose()
    }

    async fn find_any_job(&self, id: Uuid, deadline: Deadline) -> Result<Option<Job>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<JobRow> = sqlx::query_as(concat!("select ", job_columns!(), " from jobs where id = $1"))
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        row.map(JobRow::into_job).transpose()
    }

    async fn list_jobs(&self, filter: &Filter, page: &Page<Key>, deadline: Deadline) -> Result<Rows<Job>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let total = match page.known_total() {
            Some(total) => i64::from(total),
            None => {
                let mut count = QueryBuilder::<Db>::new("select count(*) from jobs where 1 = 1");
                push_filter(&mut count, filter);
                count.build_query_scalar().fetch_one(&mut *connection).await?
            }
        };
        let mut select = QueryBuilder::<Db>::new(concat!("select ", job_columns!(), " from jobs where 1 = 1"));
        push_filter(&mut select, filter);
        if let Some(Key(id)) = page.after() {
            select.push(" and id < ").push_bind(*id);
        }
        select.push(" order by id desc limit ").push_bind(page.fetch()).push(" offset ").push_bind(page.offset());
        let rows: Vec<JobRow> = select.build_query_as().fetch_all(&mut *connection).await?;
        let jobs = rows.into_iter().map(JobRow::into_job).collect::<Result<_, _>>()?;
        Ok(page.cut(jobs, total))
    }

    async fn cancel_job(&self, owner: Uuid, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Job>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let Some(mut job) = lock(&mut transaction, id).await?.filter(|job| job.owner == owner) else {
            return Ok(None);
        };
        let was = job.status;
        if !job.cancel(now) {
            return Err(Error::TaskEnded { id });
        }
        match was {
            // The worker that is at it keeps its lease, and reads the wish with the next renewal.
            Status::Running => {
                sqlx::query("update jobs set cancel_requested = $2, updated_at = $3 where id = $1")
                    .bind(id)
                    .bind(true)
                    .bind(quartet_store::Timestamp(now))
                    .execute(&mut *transaction)
                    .await?;
            }
            Status::Cancelled => return Ok(Some(job)),
            Status::Scheduled | Status::Queued | Status::Succeeded | Status::Failed | Status::Dead => {
                self.save(&mut transaction, &job).await?;
            }
        }
        transaction.commit().await?;
        Ok(Some(job))
    }

    async fn restart_job(&self, owner: Uuid, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Job>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let Some(mut job) = lock(&mut transaction, id).await?.filter(|job| job.owner == owner) else {
            return Ok(None);
        };
        if !job.restart(now) {
            return Err(Error::TaskNotRetryable { id });
        }
        self.save(&mut transaction, &job).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(Some(job))
    }

    async fn replay_job(&self, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Job>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let Some(mut job) = lock(&mut transaction, id).await?.filter(|job| job.status == Status::Dead) else {
            return Ok(None);
        };
        job.restart(now);
        self.save(&mut transaction, &job).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(Some(job))
    }
}

/// The job, locked until the transaction ends.
async fn lock(connection: &mut Connection, id: Uuid) -> Result<Option<Job>, Error> {
    let row: Option<JobRow> = sqlx::query_as(concat!("select ", job_columns!(), " from jobs where id = $1", locking!()))
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(JobRow::into_job).transpose()
}

async fn with_key(connection: &mut Connection, owner: Uuid, key: Option<&str>) -> Result<Option<Job>, Error> {
    let row: Option<JobRow> = sqlx::query_as(concat!("select ", job_columns!(), " from jobs where owner = $1 and unique_key = $2"))
        .bind(owner)
        .bind(key)
        .fetch_optional(connection)
        .await?;
    row.map(JobRow::into_job).transpose()
}

fn push_filter(query: &mut QueryBuilder<Db>, filter: &Filter) {
    if let Some(owner) = filter.owner {
        query.push(" and owner = ").push_bind(owner);
    }
    if let Some(status) = filter.status {
        query.push(" and status = ").push_bind(status.name());
    }
    if let Some(kind) = filter.kind {
        query.push(" and kind = ").push_bind(kind.name());
    }
}
