// Queues, and the schedules that fill them. Compiled once per database.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;

use super::super::{Queues, kind};
use super::{Db, Queries};
use crate::Error;
use crate::domain::{Kind, NewJob, Queue, QueueState, Schedule, Status};

#[derive(FromRow)]
struct ScheduleRow {
    name: String,
    cron: String,
    kind: String,
    next_run_at: Timestamp,
    last_run_at: Option<Timestamp>,
}

#[async_trait]
impl Queues for Queries {
    async fn set_paused(&self, queue: Queue, paused: bool, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query("insert into queues (name, paused) values ($1, $2) on conflict (name) do update set paused = excluded.paused")
            .bind(queue.name())
            .bind(paused)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn queue_states(&self, deadline: Deadline) -> Result<Vec<QueueState>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let paused: Vec<String> =
            sqlx::query_scalar("select name from queues where paused").fetch_all(&mut *connection).await?;
        let counts: Vec<(String, String, i64, Option<Timestamp>)> = sqlx::query_as(
            "select queue, status, count(*), min(run_at) from jobs
              where status in ('scheduled', 'queued', 'running', 'dead') group by queue, status",
        )
        .fetch_all(&mut *connection)
        .await?;
        let count = |queue: Queue, status: Status| {
            counts.iter().find(|(of, stands, _, _)| of == queue.name() && stands == status.name())
        };
        let number = |queue, status| count(queue, status).map_or(0, |(_, _, number, _)| *number);
        let state = |queue: Queue| QueueState {
            queue,
            paused: paused.iter().any(|name| name == queue.name()),
            scheduled: number(queue, Status::Scheduled),
            queued: number(queue, Status::Queued),
            running: number(queue, Status::Running),
            dead: number(queue, Status::Dead),
            oldest_queued_at: count(queue, Status::Queued).and_then(|(_, _, _, oldest)| *oldest).map(Into::into),
        };
        Ok(Queue::ALL.into_iter().map(state).collect())
    }

    async fn count_jobs(&self, deadline: Deadline) -> Result<Vec<(Kind, Status, i64)>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let counts: Vec<(String, String, i64)> = sqlx::query_as(
            "select kind, status, count(*) from jobs
              where status in ('scheduled', 'queued', 'running', 'dead') group by kind, status",
        )
        .fetch_all(&mut *connection)
        .await?;
        // Kinds that a newer version of the service makes are its to count.
        let known = |(kind, status, count): (String, String, i64)| Some((Kind::from_name(&kind)?, Status::from_name(&status)?, count));
        Ok(counts.into_iter().filter_map(known).collect())
    }

    async fn put_schedule(&self, schedule: &Schedule, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query(
            "insert into schedules (name, cron, kind, next_run_at) values ($1, $2, $3, $4)
        on conflict (name) do update
                set next_run_at = case when schedules.cron = excluded.cron then schedules.next_run_at else excluded.next_run_at end,
                    cron = excluded.cron,
                    kind = excluded.kind",
        )
        .bind(&schedule.name)
        .bind(&schedule.cron)
        .bind(schedule.kind.name())
        .bind(Timestamp(schedule.next_run_at))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn retain_schedules(&self, names: &[&str], deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let mut delete = QueryBuilder::<Db>::new("delete from schedules where 1 = 1");
        for name in names {
            delete.push(" and name <> ").push_bind((*name).to_owned());
        }
        delete.build().execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn list_schedules(&self, deadline: Deadline) -> Result<Vec<Schedule>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let rows: Vec<ScheduleRow> =
            sqlx::query_as("select name, cron, kind, next_run_at, last_run_at from schedules order by name")
                .fetch_all(&mut *connection)
                .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Schedule {
                    kind: kind(&row.kind)?,
                    name: row.name,
                    cron: row.cron,
                    next_run_at: row.next_run_at.into(),
                    last_run_at: row.last_run_at.map(Into::into),
                })
            })
            .collect()
    }

    async fn fire_schedule(
        &self,
        schedule: &Schedule,
        next: OffsetDateTime,
        job: &NewJob,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // The moment that this worker saw is the claim: of several workers, the first one moves it on.
        let moved = sqlx::query("update schedules set next_run_at = $3, last_run_at = $4 where name = $1 and next_run_at = $2")
            .bind(&schedule.name)
            .bind(Timestamp(schedule.next_run_at))
            .bind(Timestamp(next))
            .bind(Timestamp(now))
            .execute(&mut *transaction)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        self.put(&mut transaction, job, now).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(true)
    }
}
