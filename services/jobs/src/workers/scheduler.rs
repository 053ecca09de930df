//! Makes the jobs of schedules, once for all workers: the worker that moves a schedule on to its
//! next time makes the job.

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::Error;
use crate::domain::{Cron, Kind, NewJob, Queue, SUITE, Schedule, UniqueKey};

impl Worker {
    /// Writes the schedules and makes their jobs until `stop`.
    pub(super) async fn keep_schedules(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.pace.poll);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let done = async {
                if !written {
                    self.write_schedules().await?;
                    written = true;
                }
                self.fire_due().await
            };
            if let Err(error) = done.await {
                tracing::warn!(%error, "the schedules cannot be worked on for now");
            }
        }
    }

    async fn write_schedules(&self) -> Result<(), Error> {
        let cx = self.cx();
        for (kind, cron) in self.schedules.iter() {
            let Some(next_run_at) = cron.next_after(cx.now) else {
                continue;
            };
            let schedule = Schedule {
                name: kind.name().to_owned(),
                cron: cron.as_str().to_owned(),
                kind: *kind,
                next_run_at,
                last_run_at: None,
            };
            self.store.put_schedule(&schedule, &cx).await?;
        }
        let names: Vec<&str> = self.schedules.iter().map(|(kind, _)| kind.name()).collect();
        self.store.retain_schedules(&names, &cx).await
    }

    async fn fire_due(&self) -> Result<(), Error> {
        let cx = self.cx();
        for schedule in self.store.list_all_schedules(&cx).await? {
            if schedule.next_run_at > cx.now {
                continue;
            }
            let Some(next) = self.next(schedule.kind, &schedule.cron) else {
                continue;
            };
            let due_at = schedule.next_run_at.unix_timestamp();
            // Times that were missed while no worker ran are made up for once.
            let job = NewJob::new(self.clock.new_id(), SUITE, schedule.kind, Vec::new(), cx.now)
                .in_queue(Queue::Low)
                .once(UniqueKey::of("schedule", format_args!("{}:{due_at}", schedule.name)));
            if self.store.fire_schedule(&schedule, next, &job, &cx).await? {
                tracing::info!(schedule = schedule.name, job = %job.id, "a schedule came due");
            }
        }
        Ok(())
    }

    /// The next time of a pattern that this worker knows.
    fn next(&self, kind: Kind, pattern: &str) -> Option<time::OffsetDateTime> {
        let known = self.schedules.iter().find(|(known, _)| *known == kind);
        let cron = known
            .map(|(_, cron): &(Kind, Cron)| cron)
            .filter(|cron| cron.as_str() == pattern)?;
        cron.next_after(self.clock.now())
    }
}
