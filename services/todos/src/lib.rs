//! The todos service: todos and the tags on them, each its owner's alone.
//!
//! Rooms in reading order: [`config`], [`domain`] (types and rules), [`rpc`] (one file per RPC),
//! `feed` (streams of changes), `quotas` (how much a user may have, by tier), [`store`] (traits, two
//! databases), [`events`] (published and consumed), `workers` (background loops), [`error`].

pub mod config;
pub mod domain;
pub mod error;
pub mod events;
mod feed;
pub mod process;
mod quotas;
pub mod rpc;
pub mod store;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_messaging::{Broker, Effects, Messenger};
use quartet_rpc::host::{Hosted, StartError};
use quartet_rpc::server::Probe;
use quartet_store::Database;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use config::Config;
pub use error::Error;

use quotas::Quotas;
use workers::feed::FeedUpkeep;
use workers::purge::Purge;
use workers::tag_keys::TagKeys;

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
    /// Where the gateway caches replies, which writes make outdated.
    pub cache: Cache,
}

/// The service, built and ready to be served.
pub struct Service {
    database: Database,
    rpc: rpc::Rpc,
    feed: feed::Feed,
    messenger: Messenger,
    purge: Purge,
    tag_keys: TagKeys,
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
    )
    .caching(deps.cache);
    let store: Arc<dyn store::Store> = store::over(database.clone(), messenger.publisher()).into();
    let effects = Effects::new(store.clone(), deps.clock.clone()).within(EFFECTS_TIMEOUT);
    let feed = feed::Feed::new(store.clone(), deps.clock.clone(), config.watch_send_timeout);
    let quotas = Quotas {
        todos: config.todos_per_user,
        tags: config.tags_per_user,
    };
    Ok(Service {
        database,
        purge: Purge::new(store.clone(), deps.clock.clone(), config.purge_after),
        tag_keys: TagKeys::new(store.clone(), deps.clock.clone()),
        upkeep: FeedUpkeep::new(store.clone(), deps.clock.clone(), config.feed_retention),
        rpc: rpc::Rpc::new(store, deps.clock, feed.clone(), Arc::new(messenger.replies()), quotas),
        messenger: messenger.consuming(events::CONSUMER, Arc::new(effects)),
        feed,
    })
}

impl Hosted for Service {
    fn add_to(&self, routes: &mut RoutesBuilder) {
        self.rpc.clone().add_to(routes);
    }

    fn probe(&self) -> Probe {
        let database = self.database.clone();
        Probe::of(move || {
            let database = database.clone();
            async move { database.answers(Probe::BOUND).await }
        })
    }

    async fn run(self, stop: CancellationToken) {
        tokio::join!(
            self.messenger.run(stop.clone()),
            self.purge.run(stop.clone()),
            self.tag_keys.run(stop.clone()),
            self.upkeep.run(stop.clone()),
            async {
                stop.cancelled().await;
                self.feed.stop();
            }
        );
    }
}
