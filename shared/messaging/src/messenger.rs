//! A service's side of messages: what it publishes, and what it consumes.

use std::sync::Arc;
use std::time::Duration;

use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_store::Database;
use tokio_util::sync::CancellationToken;

use crate::outdated::Outdated;
use crate::{Broker, Config, Handler, Publisher, Queue, Relay, Replies, Stats, Subscription, Wake, stats};

/// The pause after a declaration of the queues that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// The relay of a service's outbox, and the consumer of its queue.
pub struct Messenger {
    database: Database,
    broker: Option<Arc<dyn Broker>>,
    clock: Clock,
    settings: Config,
    wake: Wake,
    stats: Stats,
    outdated: Outdated,
    consumer: Option<(&'static str, Arc<dyn Handler>)>,
}

impl Messenger {
    /// Publishes what is in the outbox of `database` to `broker`. Without a broker, it stays in the
    /// outbox until the service is started with one.
    pub fn new(database: Database, broker: Option<Arc<dyn Broker>>, clock: Clock, settings: Config) -> Self {
        Self {
            database,
            broker,
            clock,
            settings,
            wake: Wake::default(),
            stats: Stats::default(),
            outdated: Outdated::new(Cache::none()),
            consumer: None,
        }
    }

    /// Forgets replies in `cache` that the service's writes make outdated.
    #[must_use]
    pub fn caching(self, cache: Cache) -> Self {
        Self {
            outdated: Outdated::new(cache),
            ..self
        }
    }

    /// Delivers the events that the contracts declare for the service named `consumer` to
    /// `handler`.
    #[must_use]
    pub fn consuming(self, consumer: &'static str, handler: Arc<dyn Handler>) -> Self {
        Self {
            consumer: Some((consumer, handler)),
            stats: Stats::of(consumer),
            ..self
        }
    }

    /// What the units of work of the store publish through.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.clock.clone(), self.wake.clone()).with(self.outdated.clone())
    }

    /// How far behind the relay is.
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// The replies to requests with a key, in the store of the service.
    pub fn replies(&self) -> Replies {
        Replies::new(self.database.clone(), self.clock.clone())
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let replies = self
            .replies()
            .prune(self.settings.idempotency_key_retention.0, stop.clone());
        tokio::join!(replies, self.transport(stop));
    }

    /// Publishes and consumes until `stop`.
    async fn transport(self, stop: CancellationToken) {
        let Some(broker) = self.broker else {
            tracing::info!("RABBITMQ_URL is not set: the events of this service wait in its outbox");
            return stop.cancelled().await;
        };
        // Nothing is published before there is a queue for every consumer.
        while let Err(error) = broker.declare(&Queue::of_every_service()).await {
            tracing::warn!(%error, "the queues cannot be declared yet");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        let consume = async {
            if let Some((consumer, handler)) = self.consumer.clone() {
                let subscription = Subscription::new(consumer, Queue::of_service(consumer));
                broker.consume(subscription, handler, stop.clone()).await;
            }
        };
        let queues: Vec<String> = self
            .consumer
            .iter()
            .map(|(consumer, _)| Queue::of_service(consumer).name)
            .collect();
        let metrics = stats::record(broker.as_ref(), &queues, &stop);
        let relay = Relay::new(self.database, broker.clone(), self.clock, self.settings)
            .with(self.wake, self.stats)
            .outdating(self.outdated);
        tokio::join!(relay.run(stop.clone()), consume, metrics);
    }
}
