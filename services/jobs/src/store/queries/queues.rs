//! The queries on queues, and on the schedules that fill them.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Backend, Context, Reader, Timestamp};
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;

use super::unit::{Write, commit};
use super::{Database, Db, Queries};
use crate::Error;
use crate::domain::{Kind, NewJob, Queue, QueueState, Schedule, Status};
use crate::store::{Queues, kind};

/// How many jobs of a queue are in a status; a queue without jobs has one row without a status.
#[derive(FromRow)]
struct CountRow {
    name: String,
    paused: bool,
    status: Option<String>,
    count: i64,
    oldest: Option<Timestamp>,
}

#[derive(FromRow)]
struct ScheduleRow {
    name: String,
    cron: String,
    kind: String,
    next_run_at: Timestamp,
    last_run_at: Option<Timestamp>,
}

/// A row of a list, with the rows from it on in the whole list.
#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    schedule: ScheduleRow,
    total: i64,
}

impl TryFrom<ScheduleRow> for Schedule {
    type Error = Error;

    fn try_from(row: ScheduleRow) -> Result<Self, Error> {
        Ok(Self {
            kind: kind(&row.kind)?,
            name: row.name,
            cron: row.cron,
            next_run_at: row.next_run_at.into(),
            last_run_at: row.last_run_at.map(Into::into),
        })
    }
}

#[async_trait]
impl Queues for Queries {
    async fn set_paused(&self, queue: Queue, paused: bool, cx: &Context) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        sqlx::query(
            "insert into queues (name, paused)
             values ($1, $2)
        on conflict (name) do update set paused = excluded.paused",
        )
        .bind(queue.name())
        .bind(paused)
        .execute(unit.statement().await?)
        .await?;
        unit.commit().await
    }

    async fn queue_states(&self, cx: &Context) -> Result<Vec<QueueState>, Error> {
        // Who pauses a queue sees it paused.
        let mut reader = Reader::within(&self.database, cx).await?;
        let rows: Vec<CountRow> = sqlx::query_as(
            "select queues.name, queues.paused, jobs.status, count(jobs.id) as count, min(jobs.run_at) as oldest
               from queues
               left join jobs
                 on jobs.queue = queues.name and jobs.status in ('scheduled', 'queued', 'running', 'dead')
           group by queues.name, queues.paused, jobs.status",
        )
        .fetch_all(&mut *reader)
        .await?;
        let row = |queue: Queue, status: Status| {
            rows.iter()
                .find(|row| row.name == queue.name() && row.status.as_deref() == Some(status.name()))
        };
        let count = |queue, status| row(queue, status).map_or(0, |row| row.count);
        let state = |queue: Queue| QueueState {
            queue,
            paused: rows.iter().any(|row| row.name == queue.name() && row.paused),
            scheduled: count(queue, Status::Scheduled),
            queued: count(queue, Status::Queued),
            running: count(queue, Status::Running),
            dead: count(queue, Status::Dead),
            oldest_queued_at: row(queue, Status::Queued).and_then(|row| row.oldest).map(Into::into),
        };
        Ok(Queue::ALL.into_iter().map(state).collect())
    }

    async fn count_jobs(&self, cx: &Context) -> Result<Vec<(Kind, Status, i64)>, Error> {
        let counts: Vec<(String, String, i64)> = sqlx::query_as(
            "select kind, status, count(*)
               from jobs
              where status in ('scheduled', 'queued', 'running', 'dead')
           group by kind, status",
        )
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        // Kinds that a newer version of the service makes are for that version to count.
        let known = |(kind, status, count): (String, String, i64)| {
            Some((Kind::from_name(&kind)?, Status::from_name(&status)?, count))
        };
        Ok(counts.into_iter().filter_map(known).collect())
    }

    async fn put_schedule(&self, schedule: &Schedule, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        sqlx::query(
            "insert into schedules (name, cron, kind, next_run_at)
             values ($1, $2, $3, $4)
        on conflict (name) do update
                set next_run_at = case when schedules.cron = excluded.cron
                                       then schedules.next_run_at
                                       else excluded.next_run_at end,
                    cron = excluded.cron,
                    kind = excluded.kind",
        )
        .bind(&schedule.name)
        .bind(&schedule.cron)
        .bind(schedule.kind.name())
        .bind(Timestamp(schedule.next_run_at))
        .execute(&mut *single)
        .await?;
        Ok(Database::finish(single).await?)
    }

    async fn retain_schedules(&self, names: &[&str], cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let mut delete = QueryBuilder::<Db>::new("delete from schedules where 1 = 1");
        for name in names {
            delete.push(" and name <> ").push_bind((*name).to_owned());
        }
        delete.build().execute(&mut *single).await?;
        Ok(Database::finish(single).await?)
    }

    async fn list_schedules(&self, page: &Page<String>, cx: &Context) -> Result<PageResult<Schedule>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<ListRow> = sqlx::query_as(
            "select name, cron, kind, next_run_at, last_run_at, count(*) over () as total
               from schedules where name > $1 order by name limit $2 offset $3",
        )
        // No name is empty, so every name comes after this one.
        .bind(page.after().map_or("", String::as_str))
        .bind(page.fetch())
        .bind(page.offset())
        .fetch_all(&mut *connection)
        .await?;
        let total = match (page.known_total(), rows.first()) {
            (Some(total), _) => i64::from(total),
            (None, Some(row)) => row.total,
            (None, None) if page.offset() == 0 => 0,
            // A page past the last one has no row to carry the total.
            (None, None) => {
                sqlx::query_scalar("select count(*) from schedules")
                    .fetch_one(&mut *connection)
                    .await?
            }
        };
        let schedules: Result<_, Error> = rows.into_iter().map(|row| row.schedule.try_into()).collect();
        Ok(page.cut(schedules?, total))
    }

    async fn list_all_schedules(&self, cx: &Context) -> Result<Vec<Schedule>, Error> {
        let rows: Vec<ScheduleRow> =
            sqlx::query_as("select name, cron, kind, next_run_at, last_run_at from schedules order by name")
                .fetch_all(&mut *self.database.read(cx.deadline).await?)
                .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn fire_schedule(
        &self,
        schedule: &Schedule,
        next: OffsetDateTime,
        job: &NewJob,
        cx: &Context,
    ) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        // The time that this worker has read is the claim: of several workers, the first one moves
        // it on.
        let moved = sqlx::query(
            "update schedules
                set next_run_at = $3, last_run_at = $4
              where name = $1 and next_run_at = $2",
        )
        .bind(&schedule.name)
        .bind(Timestamp(schedule.next_run_at))
        .bind(Timestamp(next))
        .bind(Timestamp(cx.now))
        .execute(unit.connection().await?)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        commit(unit, Write::Insert(vec![job.clone()])).await?;
        Ok(true)
    }
}
