//! The queries on jobs as their owners see them.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Reader};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::dialect::for_update;
use super::job_rows::{JobRow, job_columns};
use super::unit::{LaneChange, Unit, Write, commit};
use super::{Connection, Db, Queries};
use crate::Error;
use crate::domain::{Filter, Job, Key, LaneBounds, NewJob, Status};
use crate::store::Tasks;

/// A row of a list, with the list's total where it is counted.
#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    job: JobRow,
    total: Option<i64>,
}

/// The constraint on the keys of an owner's jobs, as PostgreSQL and SQLite name it.
const KEY: (&str, &str) = ("jobs_owner_unique_key_key", "jobs.owner, jobs.unique_key");

#[async_trait]
impl Tasks for Queries {
    async fn insert_job(&self, job: &NewJob, cx: &Context) -> Result<(Job, bool), Error> {
        // The job that has the key may be deleted between the two statements; the key is free then.
        for _ in 0..3 {
            let made = match commit(self.begin(cx), Write::Insert(vec![job.clone()])).await {
                Ok(made) => made.jobs,
                // Another call with the key was faster.
                Err(Error::Store(error)) if error.violates(KEY.0, KEY.1) => Vec::new(),
                Err(error) => return Err(error),
            };
            if let Some(made) = made.into_iter().next() {
                return Ok((made, true));
            }
            if let Some(key) = &job.unique_key {
                let mut connection = Reader::within(&self.database, cx).await?;
                if let Some(found) = with_key(&mut connection, job.owner, key.as_str()).await? {
                    return match job.is_of(&found) {
                        true => Ok((found, false)),
                        false => Err(Error::TaskKeyReused { id: found.id }),
                    };
                }
            }
            if let Some(limit) = job.lane.as_ref().and_then(|lane| lane.limit) {
                return Err(Error::QuotaExceeded { quota: "tasks", limit });
            }
        }
        Err(sqlx::Error::RowNotFound.into())
    }

    async fn find_job(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Job>, Error> {
        let row: Option<JobRow> = sqlx::query_as(concat!(
            "select ",
            job_columns!(),
            " from jobs where id = $1 and owner = $2"
        ))
        .bind(id)
        .bind(owner)
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        row.map(JobRow::into_job).transpose()
    }

    async fn find_any_job(&self, id: Uuid, cx: &Context) -> Result<Option<Job>, Error> {
        let row: Option<JobRow> = sqlx::query_as(concat!("select ", job_columns!(), " from jobs where id = $1"))
            .bind(id)
            .fetch_optional(&mut *self.database.read(cx.deadline).await?)
            .await?;
        row.map(JobRow::into_job).transpose()
    }

    async fn list_jobs(&self, filter: &Filter, page: &Page<Key>, cx: &Context) -> Result<PageResult<Job>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let mut select = QueryBuilder::<Db>::new(concat!("select ", job_columns!(), ", "));
        match page.known_total() {
            // The token has carried it along.
            Some(_) => select.push("cast(null as bigint)"),
            None => push_count(&mut select, filter),
        };
        select.push(" as total from jobs where 1 = 1");
        push_filter(&mut select, filter);
        if let Some(Key(id)) = page.after() {
            select.push(" and id < ").push_bind(*id);
        }
        select.push(" order by id desc");
        page.push_bounds(&mut select);
        let rows: Vec<ListRow> = select.build_query_as().fetch_all(&mut *connection).await?;
        let mut total = page.known_total().map(i64::from);
        if total.is_none() {
            total = rows.first().and_then(|row| row.total);
        }
        if total.is_none() && page.offset() > 0 {
            // A page past the last one has no row to carry the total.
            let mut select = QueryBuilder::<Db>::new("select ");
            push_count(&mut select, filter);
            total = Some(select.build_query_scalar().fetch_one(&mut *connection).await?);
        }
        let jobs: Result<_, Error> = rows.into_iter().map(|row| row.job.into_job()).collect();
        Ok(page.cut(jobs?, total.unwrap_or_default()))
    }

    async fn cancel_job(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Job>, Error> {
        let mut unit = self.begin(cx);
        let Some(mut job) = lock(unit.connection().await?, id).await? else {
            return Ok(None);
        };
        let before = job.clone();
        if job.owner != owner {
            return Ok(None);
        }
        if !job.cancel(cx.now) {
            return Err(Error::TaskEnded { id });
        }
        let write = match before.status {
            // Its worker keeps the lease, and learns of the request when it renews that.
            Status::Running => Write::RequestCancel(id),
            Status::Cancelled => return Ok(Some(job)),
            Status::Scheduled | Status::Queued | Status::Succeeded | Status::Failed | Status::Dead => {
                Write::Save(job.clone(), LaneChange::between(&before, &job))
            }
        };
        let cancelled = commit(unit, write).await?;
        self.fill(cancelled.with_room, cx).await;
        Ok(Some(job))
    }

    async fn restart_job(&self, owner: Uuid, id: Uuid, bounds: LaneBounds, cx: &Context) -> Result<Option<Job>, Error> {
        let mut unit = self.begin(cx);
        let Some(mut job) = lock(unit.connection().await?, id).await? else {
            return Ok(None);
        };
        if job.owner != owner {
            return Ok(None);
        }
        if !job.restart(cx.now) {
            return Err(Error::TaskNotRetryable { id });
        }
        begin_anew(unit, job, bounds).await
    }

    async fn replay_job(&self, id: Uuid, bounds: LaneBounds, cx: &Context) -> Result<Option<Job>, Error> {
        let mut unit = self.begin(cx);
        let Some(mut job) = lock(unit.connection().await?, id).await? else {
            return Ok(None);
        };
        if job.status != Status::Dead {
            return Ok(None);
        }
        job.restart(cx.now);
        begin_anew(unit, job, bounds).await
    }
}

/// Writes a locked job that has begun anew, into its lane.
async fn begin_anew(unit: Unit, job: Job, bounds: LaneBounds) -> Result<Option<Job>, Error> {
    let lane = job.lane.clone().map(|key| bounds.of(key));
    let limit = lane.as_ref().and_then(|lane| lane.limit);
    let write = match lane {
        Some(lane) => Write::Enter(job, lane),
        None => {
            // It counts nowhere.
            let change = LaneChange::between(&job, &job);
            Write::Save(job, change)
        }
    };
    match (commit(unit, write).await?.jobs.pop(), limit) {
        (None, Some(limit)) => Err(Error::QuotaExceeded { quota: "tasks", limit }),
        (written, _) => Ok(written),
    }
}

/// The job, locked until the transaction ends.
async fn lock(connection: &mut Connection, id: Uuid) -> Result<Option<Job>, Error> {
    let row: Option<JobRow> = sqlx::query_as(concat!(
        "select ",
        job_columns!(),
        " from jobs where id = $1",
        for_update!()
    ))
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.map(JobRow::into_job).transpose()
}

async fn with_key(connection: &mut Connection, owner: Uuid, key: &str) -> Result<Option<Job>, Error> {
    let row: Option<JobRow> = sqlx::query_as(concat!(
        "select ",
        job_columns!(),
        " from jobs where owner = $1 and unique_key = $2"
    ))
    .bind(owner)
    .bind(key)
    .fetch_optional(connection)
    .await?;
    row.map(JobRow::into_job).transpose()
}

fn push_count<'q>(query: &'q mut QueryBuilder<Db>, filter: &Filter) -> &'q mut QueryBuilder<Db> {
    query.push("(select count(*) from jobs where 1 = 1");
    push_filter(query, filter);
    query.push(")")
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
