//! The todos service: todos and the tags on them, each its owner's alone.
//!
//! Rooms in reading order: [`config`], [`domain`] (types and rules), [`rpc`] (one file per RPC),
//! `feed` (streams of changes), [`store`] (traits, two databases), [`events`] (published and
//! consumed), `workers` (background loops), [`error`].

pub mod config;
pub mod domain;
pub mod error;
pub mod events;
mod feed;
pub mod rpc;
pub mod store;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_messaging::{Broker, Effects, Messenger};
use quartet_rpc::host::{Hosted, StartError};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use config::Config;
pub use error::Error;

use workers::feed::FeedUpkeep;
use workers::purge::Purge;

/// The proto packages that this service serves.
pub const PACKAGES: &[&str] = &["quartet.todos.v1"];

/// Bound on the effects of events: the deletion of a user may delete many todos.
const EFFECTS_TIMEOUT: Duration = Duration::from_secs(20);

/// What the service needs from the process it runs in.
pub struct Deps {
    /// Time and ids.
    pub clock: Clock,
    /// Carries messages; without one, they wait in the outbox.
    pub broker: Option<Arc<dyn Broker>>,
}

/// The service, built and ready to be served.
pub struct Service {
    rpc: rpc::Rpc,
    feed: feed::Feed,
    messenger: Messenger,
    purge: Purge,
    upkeep: FeedUpkeep,
}

/// Opens the store, migrates it if the settings say so, and builds the service. Binds nothing.
pub async fn build(config: Config, deps: Deps) -> Result<Service, StartError> {
    let database = store::open(&config).await?;
    let messenger = Messenger::new(
        database.clone(),
        deps.broker,
        deps.clock.clone(),
        config.messaging.clone(),
    );
    let store: Arc<dyn store::Store> = store::over(database, messenger.publisher()).into();
    let effects = Effects::new(store.clone(), deps.clock.clone()).within(EFFECTS_TIMEOUT);
    let feed = feed::Feed::new(store.clone(), deps.clock.clone(), config.watch_send_timeout);
    Ok(Service {
        purge: Purge::new(store.clone(), deps.clock.clone(), config.purge_after),
        upkeep: FeedUpkeep::new(store.clone(), deps.clock.clone(), config.feed_retention),
        rpc: rpc::Rpc::new(store, deps.clock, feed.clone()),
        messenger: messenger.consuming(events::CONSUMER, Arc::new(effects)),
        feed,
    })
}

impl Hosted for Service {
    fn add_to(&self, routes: &mut RoutesBuilder) {
        self.rpc.clone().add_to(routes);
    }

    async fn run(self, stop: CancellationToken) {
        tokio::join!(
            self.messenger.run(stop.clone()),
            self.purge.run(stop.clone()),
            self.upkeep.run(stop.clone()),
            async {
                stop.cancelled().await;
                self.feed.stop();
            }
        );
    }
}
