//! The queries on jobs as workers see them.

use async_trait::async_trait;
use quartet_store::{Backend, Context, Timestamp};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::dialect::{among, bind_ids, for_update, skip_locked};
use super::job_rows::{JobRow, job_columns};
use super::unit::{LaneChange, Unit, Write, commit, set};
use super::{Database, Queries, greatest, microseconds};
use crate::domain::{Ending, Job, LaneKey, MailLimits, OutgoingMail, Queue, Status};
use crate::store::{Lease, Renewal, Work};
use crate::{Error, events};

/// The pause before the next claim of a job that another worker was faster at.
const CLAIM_PAUSE: std::time::Duration = std::time::Duration::from_millis(2);

#[async_trait]
impl Work for Queries {
    async fn claim(
        &self,
        queue: Queue,
        lease: Uuid,
        until: OffsetDateTime,
        cx: &Context,
    ) -> Result<Option<(Lease, Job)>, Error> {
        loop {
            if let Some(job) = self.claim_next(queue, lease, until, cx).await? {
                // A queue is paused: the job waits for the sweeper of a later time.
                let claimed = Some(job).filter(|job| job.status == Status::Running);
                return Ok(claimed.map(|job| (Lease { job: job.id, id: lease }, job)));
            }
            // Another worker may have been faster at the job of this claim's message, and its own
            // may have come too late for the snapshot of this claim.
            if !self.has_ready(queue, cx).await? {
                return Ok(None);
            }
            tokio::time::sleep(CLAIM_PAUSE).await;
        }
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
        let change = LaneChange::between(job, &ended);
        let written = commit(self.begin(cx), Write::Finish(lease, ended, change)).await?;
        if let Some(ended) = written.jobs.into_iter().next() {
            self.fill(written.with_room, cx).await;
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
        let before = job.clone();
        job.end(ending.clone(), cx.now);
        let change = LaneChange::between(&before, &job);
        let saved = commit(unit, Write::Save(job.clone(), change)).await?;
        self.fill(saved.with_room, cx).await;
        Ok(Some(job))
    }

    async fn count_mail(&self, mail: &OutgoingMail, limits: MailLimits, cx: &Context) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let counted = sqlx::query(
            "insert into sent_mails (job, recipient, account, sent_at)
             select $1, $2, $3, $4
              where exists (select 1 from sent_mails where job = $1 and $2 in ('', recipient))
                 or (($2 = '' or (select count(*) from sent_mails where recipient = $2 and sent_at > $5) < $6)
                     and (exists (select 1 from sent_mails where job = $1)
                          or (select count(*) from sent_mails where account = $3 and sent_at > $5) < $7))
        on conflict (job) do update
                set recipient = case when excluded.recipient = '' then sent_mails.recipient
                                     else excluded.recipient end",
        )
        .bind(mail.job)
        .bind(mail.to.as_deref().unwrap_or_default().to_lowercase())
        .bind(mail.account)
        .bind(Timestamp(cx.now))
        .bind(Timestamp(cx.now - MailLimits::WINDOW))
        .bind(limits.per_address)
        .bind(limits.per_account)
        .execute(&mut *single)
        .await?;
        Database::finish(single).await?;
        Ok(counted.rows_affected() > 0)
    }

    async fn forget_mails(&self, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        sqlx::query("delete from sent_mails where sent_at < $1")
            .bind(Timestamp(cx.now - MailLimits::WINDOW))
            .execute(&mut *single)
            .await?;
        Ok(Database::finish(single).await?)
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
        let mut enqueued = 0;
        for queue in Queue::ALL {
            let of_queue = due.iter().filter(|(_, name)| name == queue.name());
            let ids: Vec<Uuid> = of_queue.map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                let written = commit(self.begin(cx), Write::EnqueueDue(queue, ids)).await?;
                enqueued += written.jobs.len();
                self.fill(written.with_room, cx).await;
            }
        }
        Ok(enqueued)
    }

    async fn fill_lanes(&self, limit: i64, cx: &Context) -> Result<usize, Error> {
        let with_room: Vec<(String, String)> =
            sqlx::query_as("select queue, key from lanes where waiting > 0 and admitted < width limit $1")
                .bind(limit)
                .fetch_all(&mut *self.database.read(cx.deadline).await?)
                .await?;
        for (queue, key) in &with_room {
            if let Some(queue) = Queue::from_name(queue) {
                // One lane holds up no other.
                if let Err(error) = self.admit(queue, &LaneKey::stored(key.clone()), cx).await {
                    tracing::warn!(%error, lane = key, "a lane cannot be filled for now");
                }
            }
        }
        Ok(with_room.len())
    }

    async fn review_lanes(&self, limit: i64, cx: &Context) -> Result<(), Error> {
        let waiting: Vec<(String, String)> = sqlx::query_as(
            "select queue, key from lanes where pending > 0 order by waiting desc, pending desc limit $1",
        )
        .bind(limit)
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        for (queue, key) in waiting {
            if let Some(queue) = Queue::from_name(&queue) {
                self.recount(queue, &LaneKey::stored(key), cx).await?;
            }
        }
        let mut single = self.database.single(cx.deadline).await?;
        sqlx::query("delete from lanes where pending = 0 and (paced_until is null or paced_until < $1)")
            .bind(Timestamp(cx.now))
            .execute(&mut *single)
            .await?;
        Ok(Database::finish(single).await?)
    }

    async fn pace(&self, queue: Queue, lane: &LaneKey, gap: Duration, cx: &Context) -> Result<OffsetDateTime, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        // The lane of a job that has a place is there.
        let next: Option<Timestamp> = sqlx::query_scalar(concat!(
            "update lanes
                set paced_until = ",
            greatest!(),
            "(coalesce(paced_until, $3), $3) + ",
            microseconds!("$4"),
            " where queue = $1 and key = $2 returning paced_until"
        ))
        .bind(queue.name())
        .bind(lane.as_str())
        .bind(Timestamp(cx.now))
        .bind(i64::try_from(gap.whole_microseconds()).unwrap_or(i64::MAX))
        .fetch_optional(&mut *single)
        .await?;
        Database::finish(single).await?;
        Ok(next.map_or(cx.now, |next| OffsetDateTime::from(next) - gap))
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
            let before = job.clone();
            let random = u32::from_le_bytes(unit.clock().random());
            let pause = job.kind.backoff().pause(job.attempts, random);
            job.rescue(cx.now + Duration::try_from(pause).unwrap_or(Duration::HOUR), cx.now);
            let change = LaneChange::between(&before, &job);
            rescued.push((job, change));
        }
        // In the order of lanes, so that two workers that rescue cannot wait for each other.
        rescued.sort_by(|(a, _), (b, _)| (a.queue.name(), &a.lane).cmp(&(b.queue.name(), &b.lane)));
        let with_room = save_all(unit, rescued).await?;
        self.fill(with_room, cx).await;
        Ok(count)
    }

    async fn redeliver(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<usize, Error> {
        let lost: Vec<(Uuid, String)> = sqlx::query_as(
            "select id, queue
               from jobs
              where status = 'queued' and updated_at < $1 and (lane is null or admitted_at is not null)
           order by updated_at
              limit $2",
        )
        .bind(Timestamp(before))
        .bind(limit)
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        let mut redelivered = 0;
        for queue in Queue::ALL {
            let of_queue = lost.iter().filter(|(_, name)| name == queue.name());
            let ids: Vec<Uuid> = of_queue.map(|(id, _)| *id).collect();
            if ids.is_empty() {
                continue;
            }
            let mut unit = self.begin(cx);
            for _ in &ids {
                let message = events::job_queued(unit.clock(), queue);
                unit.enqueue(message);
            }
            redelivered += commit(unit, Write::Redeliver(ids, before)).await?.jobs.len();
        }
        Ok(redelivered)
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
    /// Claims the job of `queue` that has had a place for longest and that nobody else is claiming.
    async fn claim_next(
        &self,
        queue: Queue,
        lease: Uuid,
        until: OffsetDateTime,
        cx: &Context,
    ) -> Result<Option<Job>, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        // Few jobs have a place, however many wait for one, so that the row is found at once.
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
              where queues.name = $1
                and jobs.id = (select id
                                 from jobs
                                where queue = $1 and status = 'queued' and admitted_at is not null
                             order by admitted_at
                                limit 1",
            skip_locked!(),
            ") returning ",
            job_columns!()
        ))
        .bind(queue.name())
        .bind(lease)
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
        Ok(Some(job))
    }

    /// Whether a job of `queue` has a place that no worker has claimed.
    async fn has_ready(&self, queue: Queue, cx: &Context) -> Result<bool, Error> {
        let has_ready = sqlx::query_scalar(
            "select exists (select 1 from jobs where queue = $1 and status = 'queued' and admitted_at is not null)",
        )
        .bind(queue.name())
        .fetch_one(&mut *self.database.read(cx.deadline).await?)
        .await?;
        Ok(has_ready)
    }
}

/// Saves locked jobs; those of their lanes that have a free place and jobs that wait for one.
async fn save_all(mut unit: Unit, jobs: Vec<(Job, LaneChange)>) -> Result<Vec<(Queue, LaneKey)>, Error> {
    let mut jobs = jobs.into_iter().peekable();
    while let Some((job, change)) = jobs.next() {
        let write = Write::Save(job, change);
        if jobs.peek().is_none() {
            return Ok(commit(unit, write).await?.with_room);
        }
        set(&mut unit, write);
        unit.flush().await?;
    }
    Ok(Vec::new())
}
