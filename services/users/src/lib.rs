//! The users service: what others may know of a person, and the tiers that limit how often a person
//! may call.
//!
//! The auth service decides who may sign in, with which name, address and role; users keep copies
//! of the three.
//!
//! Rooms in reading order: [`config`], [`domain`] (types and rules), [`rpc`] (one file per RPC),
//! [`store`] (traits, two databases), [`accounts`] (requests to the auth service), `limit_feed` and
//! `workers` (rate limits for whoever enforces them), [`events`] (published and consumed), [`error`].

mod access;
pub mod accounts;
pub mod config;
mod detached;
pub mod domain;
pub mod error;
pub mod events;
mod limit_feed;
pub mod process;
pub mod rpc;
pub mod store;
mod workers;

use std::sync::Arc;

use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_messaging::{Broker, Effects, Messenger};
use quartet_rpc::Peer;
use quartet_rpc::host::{Hosted, StartError};
use quartet_rpc::server::Probe;
use quartet_store::Database;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use config::Config;
pub use error::Error;

use limit_feed::LimitFeed;

/// The proto packages that this service serves.
pub const PACKAGES: &[&str] = &["quartet.users.v1"];

/// What the service needs from the process it runs in.
pub struct Deps {
    /// Time and ids.
    pub clock: Clock,
    /// The auth service.
    pub auth: Peer,
    /// Carries messages; without one, they wait in the outbox.
    pub broker: Option<Arc<dyn Broker>>,
    /// Where the gateway caches replies, which writes make outdated.
    pub cache: Cache,
}

/// The service, built and ready to be served.
pub struct Service {
    database: Database,
    rpc: rpc::Rpc,
    messenger: Messenger,
    store: Arc<dyn store::Store>,
    limits: LimitFeed,
    clock: Clock,
}

/// Opens the store, migrates it if the settings say so, and builds the service. Binds nothing.
pub async fn build(config: Config, deps: Deps) -> Result<Service, StartError> {
    let database = store::open(&config).await?;
    let messenger =
        Messenger::new(database.clone(), deps.broker, deps.clock.clone(), config.messaging).caching(deps.cache);
    let store: Arc<dyn store::Store> = store::over(database.clone(), messenger.publisher()).into();
    let effects = Effects::new(store.clone(), deps.clock.clone());
    let accounts = accounts::Accounts::new(deps.auth);
    let limits = LimitFeed::new();
    Ok(Service {
        database,
        rpc: rpc::Rpc::new(
            store.clone(),
            accounts,
            limits.clone(),
            deps.clock.clone(),
            Arc::new(messenger.replies()),
        ),
        store,
        limits,
        clock: deps.clock,
        messenger: messenger.consuming(events::CONSUMER, Arc::new(effects)),
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
        let limits = workers::rate_limits::follow(self.limits, self.store, self.clock, stop.clone());
        tokio::join!(self.messenger.run(stop), limits);
    }
}
