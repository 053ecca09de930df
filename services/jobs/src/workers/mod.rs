//! What the service does in the background: it claims jobs, supervises each attempt, and keeps the
//! queues going.
//!
//! In reading order: `context` is what a handler works with and returns, `job_error` why a job is
//! not done, `consumer` claims a job for a message, `attempt` supervises one attempt, `sweeper`
//! queues what is due and rescues orphans, `scheduler` makes the jobs of schedules, `metrics`
//! records how full the queues are.

mod attempt;
mod consumer;
mod context;
mod job_error;
mod metrics;
mod scheduler;
mod sweeper;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_messaging::{Broker, Queue as BrokerQueue, Subscription};
use quartet_store::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use context::{Done, JobContext, JobHandler};
pub use job_error::JobError;

use crate::domain::{Cron, Kind, Queue};
use crate::events;
use crate::files::Files;
use crate::notifier::JobNotifier;
use crate::store::Store;

/// Bound on the statements around an attempt.
const STEP: Duration = Duration::from_secs(10);
/// How long a handler may take to end once it is requested to, before it is dropped.
const GRACE: Duration = Duration::from_secs(5);
/// How long the broker waits for a handler: longer than any attempt, which has a bound of its own.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(1_200);
/// The pause after an attempt to reach the broker that failed.
const BROKER_PAUSE: Duration = Duration::from_secs(2);

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Jobs at once, in each queue of a priority.
    pub concurrency: u16,
    /// Deliveries to webhooks at once.
    pub deliveries: u16,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How often the sweeper and the scheduler poll.
    pub poll: Duration,
    /// How long a queued job waits for a worker before its message is published again.
    pub redeliver_after: Duration,
}

impl Pace {
    /// Jobs of a queue at once.
    fn concurrency_of(self, queue: Queue) -> u16 {
        match queue {
            Queue::Low | Queue::Default | Queue::High => self.concurrency,
            Queue::Webhooks => self.deliveries,
        }
    }
}

/// A worker. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Worker {
    /// Where jobs are.
    pub store: Arc<dyn Store>,
    /// Time, ids and randomness.
    pub clock: Clock,
    /// Brings the messages of queued jobs.
    pub broker: Arc<dyn Broker>,
    /// The handler of each kind.
    pub handlers: Arc<Handlers>,
    /// Which kinds are made when.
    pub schedules: Arc<Vec<(Kind, Cron)>>,
    /// Notifies this process of jobs that change.
    pub notifier: JobNotifier,
    /// Files of jobs.
    pub files: Files,
    /// How it works.
    pub pace: Pace,
}

/// The handler of each kind.
pub type Handlers = HashMap<Kind, Arc<dyn JobHandler>>;

impl Worker {
    /// What the store has to know of a statement of this worker.
    fn cx(&self) -> Context {
        Context::new(&self.clock, Deadline::after(STEP))
    }

    /// Works until `stop`; unfinished jobs are released then.
    pub async fn run(self, stop: CancellationToken) {
        // The messages of queued jobs must not find their queues missing.
        while let Err(error) = self.broker.declare(&queues()).await {
            tracing::warn!(%error, "the queues cannot be declared for now");
            if stop
                .run_until_cancelled(tokio::time::sleep(BROKER_PAUSE))
                .await
                .is_none()
            {
                return;
            }
        }
        let attempts = TaskTracker::new();
        let work = Queue::ALL.map(|queue| {
            let consumer = consumer::Consumer {
                worker: self.clone(),
                queue,
                attempts: attempts.clone(),
                stop: stop.clone(),
            };
            let subscription = Subscription::new("jobs", broker_queue(queue))
                .prefetching(self.pace.concurrency_of(queue))
                .within(DELIVERY_TIMEOUT);
            self.broker.consume(subscription, Arc::new(consumer), stop.clone())
        });
        tokio::join!(
            futures::future::join_all(work),
            self.clone().sweep(stop.clone()),
            self.clone().keep_schedules(stop.clone()),
            self.clone().record_metrics(stop.clone()),
        );
        attempts.close();
        attempts.wait().await;
    }
}

/// The queues that workers consume.
pub fn queues() -> [BrokerQueue; 4] {
    Queue::ALL.map(broker_queue)
}

fn broker_queue(queue: Queue) -> BrokerQueue {
    let (name, priority) = events::broker_queue(queue);
    BrokerQueue::work(name, priority)
}
