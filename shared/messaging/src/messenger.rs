//! A service's side of messages: what it says, and what it hears.

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_store::Database;
use tokio_util::sync::CancellationToken;

use crate::outbox::Outgoing;
use crate::{Broker, Config, Handler, Queue, Relay, Stats, Subscription, Wake, stats};

/// How long a broker that does not take the queues at the start is left alone.
const PAUSE: Duration = Duration::from_secs(2);

/// The relay of a service's outbox, and the consumer of its queue.
pub struct Messenger {
    database: Database,
    broker: Option<Arc<dyn Broker>>,
    clock: Clock,
    settings: Config,
    wake: Wake,
    stats: Stats,
    heard: Option<(&'static str, Arc<dyn Handler>)>,
}

impl Messenger {
    /// Carries what is in the outbox of `database` to `broker`. Without a broker, it stays in the outbox until the service is started with one.
    pub fn new(database: Database, broker: Option<Arc<dyn Broker>>, clock: Clock, settings: Config) -> Self {
        Self {
            database,
            broker,
            clock,
            settings,
            wake: Wake::default(),
            stats: Stats::default(),
            heard: None,
        }
    }

    /// Hands what the contracts say that the service named `consumer` takes to `handler`.
    #[must_use]
    pub fn hearing(self, consumer: &'static str, handler: Arc<dyn Handler>) -> Self {
        Self {
            heard: Some((consumer, handler)),
            stats: Stats::of(consumer),
            ..self
        }
    }

    /// What the store says with.
    pub fn outgoing(&self) -> Outgoing {
        Outgoing::new(self.clock.clone(), self.wake.clone())
    }

    /// How the relay fares.
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Some(broker) = self.broker else {
            tracing::info!("RABBITMQ_URL is not set: what this service has to say waits in its outbox");
            return stop.cancelled().await;
        };
        // Nothing is said before there is a queue for everyone who waits for it.
        while let Err(error) = broker.declare(&Queue::of_every_service()).await {
            tracing::warn!(%error, "the queues cannot be made yet");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        let hear = async {
            if let Some((consumer, handler)) = self.heard.clone() {
                let subscription = Subscription::new(consumer, Queue::of_service(consumer));
                broker.consume(subscription, handler, stop.clone()).await;
            }
        };
        let queues: Vec<String> = self
            .heard
            .iter()
            .map(|(consumer, _)| Queue::of_service(consumer).name)
            .collect();
        let watch = stats::watch(broker.as_ref(), &queues, &stop);
        let relay = Relay::new(self.database, broker.clone(), self.clock, self.settings).with(self.wake, self.stats);
        tokio::join!(relay.run(stop.clone()), hear, watch);
    }
}
