//! Takes the messages of one queue and hands them to a handler, through every failure of the server.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::envelope::{self, History};
use super::lanes::Lanes;
use super::publisher::Parcel;
use super::{Inner, topology};
use crate::broker::{Error, Published};
use crate::failpoint::pass;
use crate::handling::attempt;
use crate::{Handler, Message, Outcome, Subscription};

/// How often a consumer looks whether its queue is paused.
const LOOK: Duration = Duration::from_secs(1);
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
        let taker = Taker {
            inner: inner.clone(),
            subscription: subscription.clone(),
            handler: handler.clone(),
        };
        let began = tokio::time::Instant::now();
        let ended = taker.session(&stop).await;
        let Err(error) = ended else {
            return;
        };
        tracing::warn!(%error, queue = subscription.queue.name, "taking from the queue has ended; it is begun anew");
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
#[derive(Clone)]
struct Taker {
    inner: Arc<Inner>,
    subscription: Subscription,
    handler: Arc<dyn Handler>,
}

/// A delivery that is being handled, by its lane if the queue has such.
type Running = JoinSet<(Option<String>, Result<(), Error>)>;

/// Why a session stopped taking in good order.
enum Stopped {
    ByPause,
    ForGood,
}

impl Taker {
    /// Takes until `stop`; the error is what ended it before.
    async fn session(&self, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            let channel = self.inner.taking.channel().await?;
            self.within(topology::declare(
                &channel,
                std::slice::from_ref(&self.subscription.queue),
            ))
            .await?;
            while self.is_paused(&channel).await? {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            // The channel ends with the session: what is unsettled on it goes back to the queue.
            match self.take(&channel, stop).await? {
                Stopped::ForGood => return Ok(()),
                Stopped::ByPause => {}
            }
        }
    }

    async fn take(&self, channel: &Channel, stop: &CancellationToken) -> Result<Stopped, Error> {
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
        let session = stop.child_token();
        let mut running = Running::new();
        let mut lanes = Lanes::new();
        let mut look = tokio::time::interval(LOOK);
        let stopped = loop {
            tokio::select! {
                () = stop.cancelled() => break Stopped::ForGood,
                _ = look.tick() => if self.is_paused(channel).await? {
                    break Stopped::ByPause;
                },
                Some(ended) = running.join_next() => {
                    if let Some(next) = self.ended(ended, &mut lanes)? {
                        self.start(next, &mut running, &session);
                    }
                }
                delivery = consumer.next() => match delivery {
                    Some(Ok(delivery)) => {
                        if let Some(next) = self.enter(delivery, &mut lanes) {
                            self.start(next, &mut running, &session);
                        }
                    }
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(Error::Away("the queue is gone".into())),
                },
            }
        };
        // What is in hand is finished; what waits in a lane goes back.
        session.cancel();
        let _ = self
            .within(channel.basic_cancel(TAG.into(), BasicCancelOptions::default()))
            .await;
        while let Some(ended) = running.join_next().await {
            self.ended(ended, &mut Lanes::new())?;
        }
        let _ = self.within(channel.close(200, "done".into())).await;
        Ok(stopped)
    }

    async fn is_paused(&self, channel: &Channel) -> Result<bool, Error> {
        let marker = topology::pause_queue(&self.subscription.queue.name);
        Ok(self.within(topology::count(channel, &marker)).await?.0 > 0)
    }

    /// A server that does not answer in time is taken for gone.
    async fn within<T>(&self, asked: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, Error> {
        match tokio::time::timeout(self.inner.timeout, asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                self.inner.taking.forget().await;
                Err(Error::Away("it did not answer in time".into()))
            }
        }
    }

    fn enter(&self, delivery: Delivery, lanes: &mut Lanes<Taken>) -> Option<Taken> {
        let message = envelope::read(&delivery.properties, &delivery.data);
        let lane = match &message {
            Ok(message) if self.subscription.queue.ordered => Some(format!("{}\n{}", message.source, message.subject)),
            _ => None,
        };
        let taken = Taken {
            delivery,
            message,
            lane: lane.clone(),
        };
        match lane {
            Some(lane) => lanes.enter(&lane, taken),
            None => Some(taken),
        }
    }

    /// The next one of the lane of a delivery that was handled.
    fn ended(
        &self,
        ended: Result<(Option<String>, Result<(), Error>), tokio::task::JoinError>,
        lanes: &mut Lanes<Taken>,
    ) -> Result<Option<Taken>, Error> {
        match ended {
            Ok((lane, settled)) => {
                settled?;
                Ok(lane.and_then(|lane| lanes.leave(&lane)))
            }
            // Only a failpoint panics outside the handler: this consumer is as good as dead.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn start(&self, taken: Taken, running: &mut Running, session: &CancellationToken) {
        let (taker, session) = (self.clone(), session.clone());
        running.spawn(async move {
            pass!("rabbit-taken");
            let settled = taker.handle(&taken, &session).await;
            (taken.lane, settled)
        });
    }

    async fn handle(&self, taken: &Taken, session: &CancellationToken) -> Result<(), Error> {
        let queue = &self.subscription.queue;
        let history = envelope::history(&taken.delivery.properties, &queue.name);
        let message = match &taken.message {
            Ok(message) => message,
            Err(reason) => {
                tracing::error!(
                    queue = queue.name,
                    reason,
                    "what is no message goes to the dead letters"
                );
                let properties = Ok(taken.delivery.properties.clone());
                let parcel = Parcel::raw(topology::dead_queue(&queue.name), &taken.delivery.data, properties);
                return self.move_on(&taken.delivery, parcel).await;
            }
        };
        let mut retries = history.retries;
        loop {
            let outcome = attempt(self.handler.as_ref(), message, self.subscription.timeout).await;
            pass!("rabbit-handled");
            let (id, kind) = (message.id, &message.kind);
            let (reason, delay) = match outcome {
                Outcome::Done => return Ok(taken.delivery.ack(BasicAckOptions::default()).await.map(drop)?),
                Outcome::Dead { reason } => (reason, None),
                Outcome::Retry { reason } => (reason, queue.retry.delay(retries + 1)),
            };
            let mut history = History {
                retries,
                reason: Some(reason.clone()),
                dead_since: None,
            };
            let Some(delay) = delay else {
                tracing::error!(queue = queue.name, kind, %id, reason, "a message is a dead letter");
                history.dead_since = Some(self.inner.clock.now());
                let parcel = Parcel::to(topology::dead_queue(&queue.name), message, &history);
                return self.move_on(&taken.delivery, parcel).await;
            };
            tracing::info!(queue = queue.name, kind, %id, reason, ?delay, "a message will be retried");
            retries += 1;
            history.retries = retries;
            if !queue.ordered {
                let parcel = Parcel::to(topology::retry_queue(&queue.name, delay), message, &history);
                return self.move_on(&taken.delivery, parcel).await;
            }
            // It holds back the later ones of its subject, so it waits here.
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = session.cancelled() => return Ok(()),
            }
        }
    }

    /// Puts a copy where the message goes next, and then takes it out of the queue. A crash in between leaves both, which the inbox absorbs.
    async fn move_on(&self, delivery: &Delivery, parcel: Parcel<'_>) -> Result<(), Error> {
        match self.inner.publishing.publish(&[parcel]).await.pop() {
            Some(Published::Confirmed) => {
                pass!("rabbit-moved");
                Ok(delivery.ack(BasicAckOptions::default()).await.map(drop)?)
            }
            // It stays in the queue, which hands it out again in the next session.
            Some(Published::Unroutable) => Err(Error::Away("the queue that it goes to is gone".into())),
            Some(Published::Failed { reason }) => Err(Error::Away(reason)),
            None => Ok(()),
        }
    }
}

/// A delivery, as the message that it is.
struct Taken {
    delivery: Delivery,
    message: Result<Message, String>,
    lane: Option<String>,
}
