//! Delivers the messages of one queue to a handler, through every failure of the server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::acks::{Ack, Acks};
use super::envelope;
use super::lanes::Lanes;
use super::{Inner, topology};
use crate::broker::Error;
use crate::failpoint::pass;
use crate::handling::{CONCURRENT_BATCHES, attempt_all};
use crate::{Failure, Handler, Message, Subscription};

/// How often a consumer checks whether its queue is paused.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The first pause after a failure, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The name of this consumer on its own channel.
const TAG: &str = "quartet";

pub(super) async fn run(
    inner: &Arc<Inner>,
    subscription: Subscription,
    handler: Arc<dyn Handler>,
    stop: CancellationToken,
) {
    let mut pause = PAUSES.0;
    while !stop.is_cancelled() {
        let consumer = Arc::new(QueueConsumer {
            inner: inner.clone(),
            subscription: subscription.clone(),
            handler: handler.clone(),
        });
        let began = tokio::time::Instant::now();
        let ended = consumer.session(&stop).await;
        let Err(error) = ended else {
            return;
        };
        tracing::warn!(%error, queue = subscription.queue.name, "consuming the queue has ended; it is begun anew");
        if began.elapsed() > PAUSES.1 {
            pause = PAUSES.0;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
        }
    }
}

/// What the tasks of one consumer share.
pub(super) struct QueueConsumer {
    pub(super) inner: Arc<Inner>,
    pub(super) subscription: Subscription,
    pub(super) handler: Arc<dyn Handler>,
}

/// What a task of a consumer has come to.
enum Ended {
    /// Handlers were tried on these.
    Attempted(Vec<(Received, Result<(), Failure>)>),
    /// A delivery that was not done at once is at its end: whether it is done now.
    Followed(Box<Received>, Result<bool, Error>),
}

/// What one session has in flight.
struct InFlight {
    tasks: JoinSet<Ended>,
    /// Attempts among them.
    attempts: usize,
    lanes: Lanes<Received>,
    /// Deliveries whose turn it is, and which no task has yet.
    ready: VecDeque<Received>,
    acks: Acks,
    session: CancellationToken,
}

/// Why a session stopped consuming in good order.
enum Stopped {
    ByPause,
    ForGood,
}

impl QueueConsumer {
    /// Consumes until `stop`; the error is what ended it before.
    async fn session(self: &Arc<Self>, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            let channel = self.inner.consuming.channel().await?;
            self.within(topology::declare(
                &channel,
                std::slice::from_ref(&self.subscription.queue),
            ))
            .await?;
            while self.is_paused(&channel).await? {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                }
            }
            // The channel ends with the session: what is unsettled on it goes back to the queue.
            match self.receive(&channel, stop).await? {
                Stopped::ForGood => return Ok(()),
                Stopped::ByPause => {}
            }
        }
    }

    async fn receive(self: &Arc<Self>, channel: &Channel, stop: &CancellationToken) -> Result<Stopped, Error> {
        let prefetch = self.subscription.prefetch.max(1);
        self.within(channel.basic_qos(prefetch, BasicQosOptions::default()))
            .await?;
        let queue = self.subscription.queue.name.as_str();
        let mut consumer: Consumer = self
            .within(channel.basic_consume(
                queue.into(),
                TAG.into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            ))
            .await?;
        let mut in_flight = InFlight {
            tasks: JoinSet::new(),
            attempts: 0,
            lanes: Lanes::new(),
            ready: VecDeque::new(),
            acks: Acks::default(),
            session: stop.child_token(),
        };
        let mut poll = tokio::time::interval(POLL_INTERVAL);
        let stopped = loop {
            tokio::select! {
                () = stop.cancelled() => break Stopped::ForGood,
                _ = poll.tick() => if self.is_paused(channel).await? {
                    break Stopped::ByPause;
                },
                Some(ended) = in_flight.tasks.join_next() => {
                    self.end(ended, &mut in_flight)?;
                    // What has ended meanwhile is acknowledged together.
                    while let Some(ended) = in_flight.tasks.try_join_next() {
                        self.end(ended, &mut in_flight)?;
                    }
                    self.acknowledge(channel, &mut in_flight).await?;
                }
                delivery = consumer.next() => {
                    self.enter(delivery, &mut in_flight)?;
                    // What has arrived meanwhile is handled together.
                    while let Some(delivery) = consumer.next().now_or_never() {
                        self.enter(delivery, &mut in_flight)?;
                    }
                }
            }
            self.start(&mut in_flight);
        };
        // What is in flight is finished; what waits goes back.
        in_flight.session.cancel();
        let _ = self
            .within(channel.basic_cancel(TAG.into(), BasicCancelOptions::default()))
            .await;
        while let Some(ended) = in_flight.tasks.join_next().await {
            self.end(ended, &mut in_flight)?;
        }
        self.acknowledge(channel, &mut in_flight).await?;
        let _ = self.within(channel.close(200, "done".into())).await;
        Ok(stopped)
    }

    async fn is_paused(&self, channel: &Channel) -> Result<bool, Error> {
        let marker = topology::pause_queue(&self.subscription.queue.name);
        Ok(self.within(topology::count(channel, &marker)).await?.0 > 0)
    }

    /// A server that does not answer in time is treated as gone.
    async fn within<T>(&self, call: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, Error> {
        match tokio::time::timeout(self.inner.timeout, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                self.inner.consuming.discard().await;
                Err(Error::Unavailable("it did not answer in time".into()))
            }
        }
    }

    fn enter(&self, delivery: Option<Result<Delivery, lapin::Error>>, in_flight: &mut InFlight) -> Result<(), Error> {
        let delivery = delivery.ok_or_else(|| Error::Unavailable("the queue is gone".into()))??;
        let message = envelope::read(&delivery.properties, &delivery.data);
        let lane = match &message {
            Ok(message) if self.subscription.queue.ordered => Some(format!("{}\n{}", message.source, message.subject)),
            _ => None,
        };
        let received = Received {
            delivery,
            message,
            lane: lane.clone(),
        };
        in_flight.ready.extend(match lane {
            Some(lane) => in_flight.lanes.enter(&lane, received),
            None => Some(received),
        });
        Ok(())
    }

    /// Has tasks handle what is ready. A handler of batches has few tasks at a time, so that the
    /// deliveries of meanwhile come together.
    fn start(self: &Arc<Self>, in_flight: &mut InFlight) {
        let batch_size = self.handler.batch_size().max(1);
        while !in_flight.ready.is_empty() && (batch_size == 1 || in_flight.attempts < CONCURRENT_BATCHES) {
            let batch: Vec<Received> = in_flight.ready.drain(..batch_size.min(in_flight.ready.len())).collect();
            let consumer = self.clone();
            in_flight.attempts += 1;
            in_flight.tasks.spawn(async move {
                pass!("rabbit-received");
                let outcomes = consumer.attempt(&batch).await;
                pass!("rabbit-handled");
                Ended::Attempted(batch.into_iter().zip(outcomes).collect())
            });
        }
    }

    /// What is no message cannot be handled; the reason names what it lacks.
    async fn attempt(&self, batch: &[Received]) -> Vec<Result<(), Failure>> {
        let messages: Vec<&Message> = batch
            .iter()
            .filter_map(|received| received.message.as_ref().ok())
            .collect();
        let handled = attempt_all(self.handler.as_ref(), &messages, self.subscription.timeout).await;
        let mut handled = handled.into_iter();
        let outcome = |received: &Received| match &received.message {
            Ok(_) => handled.next(),
            Err(reason) => Some(Err(Failure::permanent(reason))),
        };
        batch.iter().filter_map(outcome).collect()
    }

    /// Takes in what a task has come to, and makes room for what waited behind it.
    fn end(
        self: &Arc<Self>,
        ended: Result<Ended, tokio::task::JoinError>,
        in_flight: &mut InFlight,
    ) -> Result<(), Error> {
        match ended {
            Ok(Ended::Attempted(attempted)) => {
                in_flight.attempts -= 1;
                for (received, outcome) in attempted {
                    let Err(failure) = outcome else {
                        in_flight.done(received);
                        continue;
                    };
                    let (consumer, session) = (self.clone(), in_flight.session.clone());
                    in_flight.tasks.spawn(async move {
                        let done = consumer.follow(&received, failure, &session).await;
                        Ended::Followed(Box::new(received), done)
                    });
                }
            }
            // What is not done stays on the channel, and behind it its lane.
            Ok(Ended::Followed(received, done)) => {
                if done? {
                    in_flight.done(*received);
                }
            }
            // Only a failpoint panics outside the handler: this consumer is as good as dead.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        Ok(())
    }

    async fn acknowledge(&self, channel: &Channel, in_flight: &mut InFlight) -> Result<(), Error> {
        for Ack { tag, multiple } in in_flight.acks.take() {
            self.within(channel.basic_ack(tag, BasicAckOptions { multiple }))
                .await?;
        }
        Ok(())
    }
}

impl InFlight {
    /// Marks a delivery as done, and makes room for the next one of its lane.
    fn done(&mut self, received: Received) {
        self.acks.done(received.delivery.delivery_tag);
        if let Some(lane) = received.lane {
            self.ready.extend(self.lanes.leave(&lane));
        }
    }
}

/// A delivery, as the message that it is.
pub(super) struct Received {
    pub(super) delivery: Delivery,
    /// Or what it lacks to be one.
    pub(super) message: Result<Message, String>,
    lane: Option<String>,
}
