//! Records how full the queues are.

use std::time::Duration;

use metrics::gauge;
use quartet_messaging::stats;
use quartet_telemetry::metrics::{JOB_QUEUE_DEPTH, JOB_QUEUE_OLDEST_AGE, JOBS, is_on};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Worker, broker_queue};
use crate::Error;
use crate::domain::{Kind, Queue, Status};

/// How often they are counted.
const EVERY: Duration = Duration::from_secs(5);
/// The statuses that are counted: those that wait for something.
const COUNTED: [Status; 4] = [Status::Scheduled, Status::Queued, Status::Running, Status::Dead];

impl Worker {
    /// Records until `stop`, where metrics are on. All workers record the same, since they share
    /// the store.
    pub(super) async fn record_metrics(self, stop: CancellationToken) {
        if !is_on() {
            return;
        }
        let queues = Queue::ALL.map(|queue| broker_queue(queue).name);
        let jobs = async {
            while !stop.is_cancelled() {
                if let Err(error) = self.record_once().await {
                    tracing::debug!(%error, "the jobs cannot be counted for now");
                }
                stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
            }
        };
        tokio::join!(jobs, stats::record(self.broker.as_ref(), &queues, &stop));
    }

    async fn record_once(&self) -> Result<(), Error> {
        let counts = self.store.count_jobs(&self.cx()).await?;
        for kind in Kind::ALL {
            for status in COUNTED {
                let found = counts.iter().find(|(of, stands, _)| (*of, *stands) == (kind, status));
                let count = found.map_or(0, |(_, _, count)| *count);
                gauge!(JOBS, "kind" => kind.name(), "status" => status.name()).set(count as f64);
            }
        }
        let cx = self.cx();
        for state in self.store.queue_states(&cx).await? {
            let queue = state.queue.name();
            gauge!(JOB_QUEUE_DEPTH, "queue" => queue).set(state.queued as f64);
            gauge!(JOB_QUEUE_OLDEST_AGE, "queue" => queue).set(age(state.oldest_queued_at, cx.now));
        }
        Ok(())
    }
}

/// Seconds since then; none when there is no then.
fn age(then: Option<OffsetDateTime>, now: OffsetDateTime) -> f64 {
    then.map_or(0.0, |then| (now - then).as_seconds_f64().max(0.0))
}
