//! Takes the messages of one queue and hands them to a handler.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use quartet_store::Error;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::queues::{self, Delivery, Settled};
use super::{Bell, Local};
use crate::failpoint::pass;
use crate::handling::{TOGETHER, attempt_all};
use crate::{Failure, Handler, Message, Subscription};

/// The longest time between two looks at a queue.
const LOOK: Duration = Duration::from_secs(1);

struct Consumer<'a> {
    local: &'a Local,
    subscription: Subscription,
    handler: Arc<dyn Handler>,
    bell: Arc<Bell>,
    /// What this consumer has in hand.
    in_hand: HashSet<i64>,
    /// Handlers at work.
    running: JoinSet<Vec<(i64, Settled)>>,
    /// Handled, and not written down yet.
    settled: Vec<(i64, Settled)>,
}

pub(super) async fn run(local: &Local, subscription: Subscription, handler: Arc<dyn Handler>, stop: CancellationToken) {
    let bell = local.bell(&subscription.queue.name);
    *bell.consumers.lock() += 1;
    let mut consumer = Consumer {
        local,
        subscription,
        handler,
        bell,
        in_hand: HashSet::new(),
        running: JoinSet::new(),
        settled: Vec::new(),
    };
    let mut declared = false;
    while !stop.is_cancelled() {
        let bell = consumer.bell.clone();
        // Listening begins before looking, so that nothing falls between the two.
        let changed = bell.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let wait = match consumer.work(&mut declared).await {
            Ok(wait) => wait,
            Err(error) => {
                let queue = &consumer.subscription.queue.name;
                tracing::warn!(%error, queue, "the queue cannot be worked on for now");
                LOOK
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = changed => {}
            () = tokio::time::sleep(wait) => {}
            Some(handled) = consumer.running.join_next() => consumer.keep(handled),
        }
    }
    consumer.finish().await;
}

impl Consumer<'_> {
    /// Writes down what is handled, and hands out what there is room for; how long nothing will change by itself.
    async fn work(&mut self, declared: &mut bool) -> Result<Duration, Error> {
        if !*declared {
            queues::declare(&self.local.pool, std::slice::from_ref(&self.subscription.queue)).await?;
            *declared = true;
        }
        self.settle().await?;
        let together = self.handler.together().max(1);
        let room = usize::from(self.subscription.prefetch.max(1)).saturating_sub(self.in_hand.len());
        // A handler that takes several together has few tasks at a time, so that the messages of meanwhile come together.
        if room == 0 || (together > 1 && self.running.len() >= TOGETHER) {
            return Ok(LOOK);
        }
        let now = self.local.clock.now();
        let deliveries = self.take(room, now).await?;
        pass!("local-taken");
        if deliveries.is_empty() {
            let due = queues::next_due(&self.local.pool, &self.subscription.queue.name, now).await?;
            let wait = due.map_or(LOOK, |due| (due - now).try_into().unwrap_or_default());
            return Ok(wait.min(LOOK));
        }
        let mut deliveries = deliveries.into_iter();
        loop {
            let batch: Vec<Delivery> = deliveries.by_ref().take(together).collect();
            if batch.is_empty() {
                break;
            }
            self.start(batch);
        }
        Ok(LOOK)
    }

    async fn take(&mut self, room: usize, now: OffsetDateTime) -> Result<Vec<Delivery>, Error> {
        // Consumers of one queue take in turns, so that none takes what another has.
        let bell = self.bell.clone();
        let _turn = bell.taking.lock().await;
        let in_hand: Vec<i64> = bell.in_hand.lock().iter().copied().collect();
        let deliveries = queues::take(&self.local.pool, &self.subscription, &in_hand, now, room).await?;
        let seqs = || deliveries.iter().map(|delivery| delivery.seq);
        bell.in_hand.lock().extend(seqs());
        self.in_hand.extend(seqs());
        Ok(deliveries)
    }

    fn start(&mut self, batch: Vec<Delivery>) {
        let (handler, clock) = (self.handler.clone(), self.local.clock.clone());
        let subscription = self.subscription.clone();
        self.running.spawn(async move {
            // The last time such a one was handed out, the process died before it could say how it went.
            let limit = subscription.queue.delivery_limit.saturating_add(1);
            let (worn, batch): (Vec<Delivery>, Vec<Delivery>) =
                batch.into_iter().partition(|delivery| delivery.handed_out > limit);
            let messages: Vec<&Message> = batch.iter().map(|delivery| &delivery.message).collect();
            let outcomes = attempt_all(handler.as_ref(), &messages, subscription.timeout).await;
            pass!("local-handled");
            let worn = worn.into_iter().map(|delivery| {
                let reason = format!("its consumer died with it {} times", delivery.handed_out - 1);
                (delivery, Err(Failure::Permanent(reason)))
            });
            let now = clock.now();
            let settle = |(delivery, outcome): (Delivery, Result<(), Failure>)| {
                let settled = match outcome {
                    Ok(()) => Settled::Done,
                    Err(Failure::Permanent(reason)) => Settled::Dead { at: now, reason },
                    Err(Failure::Transient(reason)) => match subscription.queue.retry.delay(delivery.retries + 1) {
                        Some(delay) => Settled::Retry {
                            due_at: now + delay,
                            reason,
                        },
                        None => Settled::Dead { at: now, reason },
                    },
                };
                tell(&subscription, &delivery, &settled);
                (delivery.seq, settled)
            };
            worn.chain(batch.into_iter().zip(outcomes)).map(settle).collect()
        });
    }

    fn keep(&mut self, handled: Result<Vec<(i64, Settled)>, tokio::task::JoinError>) {
        match handled {
            Ok(settled) => self.settled.extend(settled),
            // Only a failpoint panics outside the handler: this consumer is as good as dead.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn settle(&mut self) -> Result<(), Error> {
        while let Some(handled) = self.running.try_join_next() {
            self.keep(handled);
        }
        if self.settled.is_empty() {
            return Ok(());
        }
        queues::settle(&self.local.pool, &self.settled).await?;
        pass!("local-settled");
        let mut in_hand = self.bell.in_hand.lock();
        for (seq, _) in self.settled.drain(..) {
            in_hand.remove(&seq);
            self.in_hand.remove(&seq);
        }
        Ok(())
    }

    /// Waits for the handlers at work and writes down how they went. What cannot be written is handed out again later.
    async fn finish(&mut self) {
        while let Some(handled) = self.running.join_next().await {
            self.keep(handled);
        }
        if let Err(error) = self.settle().await {
            let queue = &self.subscription.queue.name;
            tracing::warn!(%error, queue, "the last messages could not be settled; they will be handed out again");
        }
    }
}

impl Drop for Consumer<'_> {
    /// Gives back what is in hand, also when the consumer is not stopped but dropped.
    fn drop(&mut self) {
        let mut in_hand = self.bell.in_hand.lock();
        in_hand.retain(|seq| !self.in_hand.contains(seq));
        drop(in_hand);
        *self.bell.consumers.lock() -= 1;
        self.bell.changed.notify_waiters();
    }
}

fn tell(subscription: &Subscription, delivery: &Delivery, settled: &Settled) {
    let (queue, kind, id) = (&subscription.queue.name, &delivery.message.kind, delivery.message.id);
    match settled {
        Settled::Done => {}
        Settled::Retry { due_at, reason } => {
            tracing::info!(queue, kind, %id, %due_at, reason, "a message will be retried")
        }
        Settled::Dead { reason, .. } => tracing::error!(queue, kind, %id, reason, "a message is a dead letter"),
    }
}
