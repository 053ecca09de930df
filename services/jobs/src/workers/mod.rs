//! Who does the jobs: takes them from the queues, supervises each attempt, and keeps the queues going.
//!
//! In reading order: [`run`] is what a handler sees and answers, `take` claims the job that a message asks for, `attempt` supervises one attempt,
//! `sweeper` queues what is due and rescues orphans, `scheduler` makes the jobs of schedules, `gauges` tells how full the queues are.

mod attempt;
mod gauges;
pub mod run;
mod scheduler;
mod sweeper;
mod take;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_messaging::{Broker, Priority, Queue as BrokerQueue, Subscription};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::changes::Changes;
use crate::domain::{Cron, Kind, Queue};
use crate::files::Files;
use crate::store::{Store, WORK_QUEUE};
use run::Handler;

/// How long a handler that is told to end may take to do so, before it is dropped.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long the broker waits for a handler: longer than any attempt, since an attempt has a bound of its own.
const HANDED_OUT: Duration = Duration::from_secs(1_200);

/// How long a broker is left alone that could not be asked.
const BROKER_AWAY: Duration = Duration::from_secs(2);

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Jobs at once, in each queue.
    pub concurrency: u16,
    /// How long a job is a worker's own without a sign of life.
    pub lease: Duration,
    /// How often the sweeper and the scheduler look.
    pub poll: Duration,
    /// How long a queued job waits for a worker before it is asked for again.
    pub redeliver_after: Duration,
}

/// A worker. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Worker {
    /// Where jobs are.
    pub store: Arc<dyn Store>,
    /// Time, ids and randomness.
    pub clock: Clock,
    /// Brings the messages that ask for jobs.
    pub broker: Arc<dyn Broker>,
    /// Who does which kind.
    pub handlers: Arc<Handlers>,
    /// What is made when.
    pub schedules: Arc<Vec<(Kind, Cron)>>,
    /// Tells this process of changes.
    pub changes: Changes,
    /// Files of jobs.
    pub files: Files,
    /// How it works.
    pub pace: Pace,
}

/// Who does which kind.
pub type Handlers = HashMap<Kind, Arc<dyn Handler>>;

impl Worker {
    /// Works until `stop`; unfinished jobs are handed back then.
    pub async fn run(self, stop: CancellationToken) {
        // The messages that ask for jobs must not find their queues missing.
        while let Err(error) = self.broker.declare(&queues()).await {
            tracing::warn!(%error, "the queues cannot be made for now");
            if stop
                .run_until_cancelled(tokio::time::sleep(BROKER_AWAY))
                .await
                .is_none()
            {
                return;
            }
        }
        let attempts = TaskTracker::new();
        let work = Queue::ALL.map(|queue| {
            let take = take::Take {
                worker: self.clone(),
                attempts: attempts.clone(),
                stop: stop.clone(),
            };
            let subscription = Subscription::new("jobs", broker_queue(queue))
                .prefetching(self.pace.concurrency)
                .within(HANDED_OUT);
            self.broker.consume(subscription, Arc::new(take), stop.clone())
        });
        tokio::join!(
            futures::future::join_all(work),
            self.clone().sweep(stop.clone()),
            self.clone().keep_schedules(stop.clone()),
            self.clone().gauge(stop.clone()),
        );
        attempts.close();
        attempts.wait().await;
    }
}

/// The queues that workers take from.
pub fn queues() -> [BrokerQueue; 3] {
    Queue::ALL.map(broker_queue)
}

fn broker_queue(queue: Queue) -> BrokerQueue {
    BrokerQueue::work(WORK_QUEUE, priority(queue))
}

/// The broker's name for a queue.
pub(crate) fn priority(queue: Queue) -> Priority {
    match queue {
        Queue::Low => Priority::Low,
        Queue::Default => Priority::Normal,
        Queue::High => Priority::High,
    }
}
