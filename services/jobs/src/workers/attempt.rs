//! Supervises one attempt: renews the lease, passes on what ends it early, and writes how it ended.

use std::sync::Arc;
use std::time::Duration;

use metrics::histogram;
use quartet_kernel::{Deadline, Failure};
use quartet_store::Context;
use quartet_telemetry::TracedSpan;
use quartet_telemetry::metrics::{JOB_ATTEMPT_DURATION, is_on};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Done, GRACE, JobContext, JobError, JobHandler, STEP, Worker};
use crate::domain::{Ending, Job, Problem};
use crate::store::{Lease, Renewal};

/// Why an attempt ends before its handler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    /// Its owner has requested that it ends.
    Cancelled,
    /// Its time is up.
    TimedOut,
    /// The worker stops.
    Stopping,
    /// Another worker has the job now.
    Lost,
}

type Handled = Result<Result<Done, JobError>, JoinError>;

impl Worker {
    /// Makes one attempt at a claimed job and writes how it ended.
    pub(super) async fn attempt(self, lease: Lease, job: Job, stop: CancellationToken) {
        let span = tracing::info_span!(
            parent: None,
            "job",
            otel.kind = "consumer",
            id = %job.id,
            kind = job.kind.name(),
            attempt = job.attempts
        );
        let traced_span = TracedSpan::linked_to(span, job.cause.clone());
        async {
            let begun = Instant::now();
            let ending = self.supervise(lease, &job, &stop).await;
            record(&traced_span, &job, ending.as_ref(), begun.elapsed());
            let Some(ending) = ending else {
                tracing::warn!("the lease was lost; the worker that holds it now does the job");
                return;
            };
            tracing::info!(
                elapsed_ms = begun.elapsed().as_millis() as u64,
                ending = name(&ending),
                "attempt ended"
            );
            self.finish(lease, &job, &ending).await;
        }
        .instrument(traced_span.span().clone())
        .await;
    }

    /// How the attempt ends; `None` when this worker has lost the lease.
    async fn supervise(&self, lease: Lease, job: &Job, stop: &CancellationToken) -> Option<Ending> {
        let interrupted = CancellationToken::new();
        let Some(handler) = self.handlers.get(&job.kind).cloned() else {
            // A newer version of the service has workers that do.
            let error = JobError::transient("UNKNOWN_KIND", "this worker does no jobs of this kind");
            return Some(self.ending(job, Some(Ok(Err(error))), None, Duration::ZERO));
        };
        let timeout = handler.timeout();
        let mut work = self.start(handler, lease, job, interrupted.clone());
        let handled = tokio::select! {
            handled = &mut work => Ok(handled),
            interruption = self.watch(lease, job, timeout, stop) => Err(interruption),
        };
        let (handled, interruption) = match handled {
            Ok(handled) => (Some(handled), None),
            Err(interruption) => {
                interrupted.cancel();
                let last = tokio::time::timeout(GRACE, &mut work).await.ok();
                work.abort();
                (last, Some(interruption))
            }
        };
        if interruption == Some(Interruption::Lost) {
            return None;
        }
        Some(self.ending(job, handled, interruption, timeout))
    }

    /// The handler at work, as a task of its own, so that its panic is its own as well.
    fn start(
        &self,
        handler: Arc<dyn JobHandler>,
        lease: Lease,
        job: &Job,
        interrupted: CancellationToken,
    ) -> JoinHandle<Result<Done, JobError>> {
        let context = JobContext {
            job: job.clone(),
            interrupted,
            deadline: Deadline::after(handler.timeout() + GRACE),
            clock: self.clock.clone(),
            store: Arc::clone(&self.store),
            lease,
            reported: Arc::default(),
        };
        tokio::spawn(async move { handler.run(&context).await }.in_current_span())
    }

    /// Holds the lease until something ends the attempt early.
    async fn watch(&self, lease: Lease, job: &Job, timeout: Duration, stop: &CancellationToken) -> Interruption {
        let mut changes = self.notifier.subscribe();
        let mut heartbeat = tokio::time::interval(heartbeat(self.pace.lease));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let out_of_time = tokio::time::sleep(timeout);
        tokio::pin!(out_of_time);
        let mut held_until = Instant::now() + self.pace.lease;
        loop {
            tokio::select! {
                () = &mut out_of_time => return Interruption::TimedOut,
                () = stop.cancelled() => return Interruption::Stopping,
                () = changes.changed(job.id) => {}
                _ = heartbeat.tick() => {}
            }
            let sent = Instant::now();
            let cx = Context::new(&self.clock, Deadline::after((self.pace.lease / 2).min(STEP)));
            match self.store.renew(lease, cx.now + self.pace.lease, &cx).await {
                Ok(Renewal::Held) => held_until = sent + self.pace.lease,
                Ok(Renewal::CancelRequested) => return Interruption::Cancelled,
                Ok(Renewal::Lost) => return Interruption::Lost,
                // While the store is away nobody else can take the job either, but past the lease
                // somebody may have.
                Err(error) if Instant::now() < held_until => {
                    tracing::warn!(%error, "the lease cannot be renewed for now")
                }
                Err(_) => return Interruption::Lost,
            }
        }
    }

    fn ending(
        &self,
        job: &Job,
        handled: Option<Handled>,
        interruption: Option<Interruption>,
        timeout: Duration,
    ) -> Ending {
        let error = match handled {
            // Whatever ended it early, the work is done.
            Some(Ok(Ok(Done(result)))) => return Ending::Succeeded(result),
            Some(Ok(Err(error))) => Some(error),
            Some(Err(error)) if error.is_panic() => Some(JobError::transient("PANICKED", "the handler panicked")),
            Some(Err(_)) | None => None,
        };
        let pause = job
            .kind
            .backoff()
            .pause(job.attempts, u32::from_le_bytes(self.clock.random()));
        let retry = |problem, pause: Duration| Ending::Retry(problem, self.clock.now() + pause);
        let (failure, retry_after) = match error {
            Some(JobError::Failed { failure, retry_after }) => (Some(failure), retry_after),
            Some(JobError::Interrupted) | None => (None, None),
        };
        match (interruption, failure) {
            (Some(Interruption::Cancelled), _) => Ending::Cancelled,
            (_, Some(Failure::Permanent(problem))) => Ending::Failed(problem),
            (Some(Interruption::Stopping | Interruption::Lost), _) => Ending::Released,
            (Some(Interruption::TimedOut), _) => {
                let message = format!("the attempt took longer than {timeout:?}");
                retry(Problem::new("TIMED_OUT", message), pause)
            }
            (None, Some(Failure::Transient(problem))) => retry(problem, retry_after.unwrap_or(pause)),
            (None, None) => retry(Problem::new("INTERRUPTED", "the handler gave up"), pause),
        }
    }

    /// Writes the ending, through a store that is away for a while; past the lease, the sweeper
    /// decides.
    async fn finish(&self, lease: Lease, job: &Job, ending: &Ending) {
        let give_up = Instant::now() + self.pace.lease;
        loop {
            match self.store.finish(lease, job, ending, &self.cx()).await {
                Ok(Some(_)) => return,
                Ok(None) => return tracing::warn!("the lease was lost before the ending could be written"),
                Err(error) if Instant::now() < give_up => {
                    tracing::warn!(%error, "the ending cannot be written for now");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => {
                    return tracing::error!(%error, "the ending could not be written; the job will be rescued");
                }
            }
        }
    }
}

/// How often a lease is renewed: often enough to be held through two failures, and to learn of a
/// request to cancel soon.
fn heartbeat(lease: Duration) -> Duration {
    (lease / 4).min(Duration::from_secs(1)).max(Duration::from_millis(20))
}

/// Records in traces and metrics how an attempt ended; without an ending, its lease was lost.
fn record(traced_span: &TracedSpan, job: &Job, ending: Option<&Ending>, elapsed: Duration) {
    let outcome = match ending {
        None => "lost",
        // The last attempt is not made again.
        Some(Ending::Retry(..)) if job.attempts >= job.max_attempts => "dead",
        Some(ending) => name(ending),
    };
    if traced_span.is_recording() {
        traced_span.set_name(format!("job {}", job.kind.name()));
        traced_span.set_attribute("messaging.operation.type", "process");
        traced_span.set_attribute("outcome", outcome);
        if let Some(Ending::Failed(problem) | Ending::Retry(problem, _)) = ending {
            traced_span.set_attribute("error.type", problem.reason.clone());
            traced_span.set_error(problem.message.clone());
        }
    }
    if is_on() {
        histogram!(JOB_ATTEMPT_DURATION, "kind" => job.kind.name(), "outcome" => outcome).record(elapsed);
    }
}

fn name(ending: &Ending) -> &'static str {
    match ending {
        Ending::Succeeded(_) => "succeeded",
        Ending::Failed(_) => "failed",
        Ending::Retry(..) => "retry",
        Ending::Cancelled => "cancelled",
        Ending::Released => "released",
    }
}
