//! Delivers the messages of one queue to a handler.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use quartet_store::Error;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::queues::{self, Delivery, Settled};
use super::{Local, QueueSignal};
use crate::failpoint::pass;
use crate::handling::{CONCURRENT_BATCHES, attempt_all};
use crate::{Failure, Handler, Message, Subscription};

/// The longest time between two polls of a queue.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

struct Consumer<'a> {
    local: &'a Local,
    subscription: Subscription,
    handler: Arc<dyn Handler>,
    signal: Arc<QueueSignal>,
    /// What this consumer has in flight.
    in_flight: HashSet<i64>,
    /// Handlers at work.
    running: JoinSet<Vec<(i64, Settled)>>,
    /// Handled, and not written yet.
    settled: Vec<(i64, Settled)>,
}

pub(super) async fn run(local: &Local, subscription: Subscription, handler: Arc<dyn Handler>, stop: CancellationToken) {
    let signal = local.signal(&subscription.queue.name);
    *signal.consumers.lock() += 1;
    let mut consumer = Consumer {
        local,
        subscription,
        handler,
        signal,
        in_flight: HashSet::new(),
        running: JoinSet::new(),
        settled: Vec::new(),
    };
    let mut declared = false;
    while !stop.is_cancelled() {
        let signal = consumer.signal.clone();
        // The wait begins before the poll, so that nothing falls between the two.
        let changed = signal.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let wait = match consumer.work(&mut declared).await {
            Ok(wait) => wait,
            Err(error) => {
                let queue = &consumer.subscription.queue.name;
                tracing::warn!(%error, queue, "the queue cannot be worked on for now");
                POLL_INTERVAL
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
    /// Writes what is handled, and delivers what there is room for; how long nothing will change by
    /// itself.
    async fn work(&mut self, declared: &mut bool) -> Result<Duration, Error> {
        if !*declared {
            queues::declare(&self.local.pool, std::slice::from_ref(&self.subscription.queue)).await?;
            *declared = true;
        }
        self.settle().await?;
        let batch_size = self.handler.batch_size().max(1);
        let room = usize::from(self.subscription.prefetch.max(1)).saturating_sub(self.in_flight.len());
        // A handler of batches has few tasks at a time, so that the messages of meanwhile come
        // together.
        if room == 0 || (batch_size > 1 && self.running.len() >= CONCURRENT_BATCHES) {
            return Ok(POLL_INTERVAL);
        }
        let now = self.local.clock.now();
        let deliveries = self.take(room, now).await?;
        pass!("local-received");
        if deliveries.is_empty() {
            let due = queues::next_due(&self.local.pool, &self.subscription.queue.name, now).await?;
            let wait = due.map_or(POLL_INTERVAL, |due| (due - now).try_into().unwrap_or_default());
            return Ok(wait.min(POLL_INTERVAL));
        }
        let mut deliveries = deliveries.into_iter();
        loop {
            let batch: Vec<Delivery> = deliveries.by_ref().take(batch_size).collect();
            if batch.is_empty() {
                break;
            }
            self.start(batch);
        }
        Ok(POLL_INTERVAL)
    }

    async fn take(&mut self, room: usize, now: OffsetDateTime) -> Result<Vec<Delivery>, Error> {
        // Consumers of one queue claim in turns, so that none claims what another has.
        let signal = self.signal.clone();
        let _turn = signal.taking.lock().await;
        let in_flight: Vec<i64> = signal.in_flight.lock().iter().copied().collect();
        let deliveries = queues::take(&self.local.pool, &self.subscription, &in_flight, now, room).await?;
        let seqs = || deliveries.iter().map(|delivery| delivery.seq);
        signal.in_flight.lock().extend(seqs());
        self.in_flight.extend(seqs());
        Ok(deliveries)
    }

    fn start(&mut self, batch: Vec<Delivery>) {
        let (handler, clock) = (self.handler.clone(), self.local.clock.clone());
        let subscription = self.subscription.clone();
        self.running.spawn(async move {
            // The last time such a message was delivered, the process died before it was settled.
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
                log(&subscription, &delivery, &settled);
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
        let mut in_flight = self.signal.in_flight.lock();
        for (seq, _) in self.settled.drain(..) {
            in_flight.remove(&seq);
            self.in_flight.remove(&seq);
        }
        Ok(())
    }

    /// Waits for the handlers at work and writes what came of them. What cannot be written is
    /// delivered again.
    async fn finish(&mut self) {
        while let Some(handled) = self.running.join_next().await {
            self.keep(handled);
        }
        if let Err(error) = self.settle().await {
            let queue = &self.subscription.queue.name;
            tracing::warn!(%error, queue, "the last messages could not be settled; they will be delivered again");
        }
    }
}

impl Drop for Consumer<'_> {
    /// Returns what is in flight, also when the consumer is not stopped but dropped.
    fn drop(&mut self) {
        let mut in_flight = self.signal.in_flight.lock();
        in_flight.retain(|seq| !self.in_flight.contains(seq));
        drop(in_flight);
        *self.signal.consumers.lock() -= 1;
        self.signal.changed.notify_waiters();
    }
}

fn log(subscription: &Subscription, delivery: &Delivery, settled: &Settled) {
    let (queue, kind, id) = (&subscription.queue.name, &delivery.message.kind, delivery.message.id);
    match settled {
        Settled::Done => {}
        Settled::Retry { due_at, reason } => {
            tracing::info!(queue, kind, %id, %due_at, reason, "a message will be retried")
        }
        Settled::Dead { reason, .. } => tracing::error!(queue, kind, %id, reason, "a message is a dead letter"),
    }
}
