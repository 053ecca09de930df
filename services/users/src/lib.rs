//! The users service: what others may know of a person, and the tiers that limit how often a person
//! may call.
//!
//! The auth service decides who may sign in, with which name, address and role; users keep copies
//! of the three.
//!
//! Rooms in reading order: [`config`], [`domain`] (types and rules), [`rpc`] (one file per RPC),
//! [`store`] (traits, two databases), [`accounts`] (requests to the auth service), [`events`]
//! (published and consumed), [`error`].

mod access;
pub mod accounts;
pub mod config;
mod detached;
pub mod domain;
pub mod error;
pub mod events;
pub mod rpc;
pub mod store;

use std::sync::Arc;

use quartet_clock::Clock;
use quartet_messaging::{Broker, Effects, Messenger};
use quartet_rpc::Peer;
use quartet_rpc::host::{Hosted, StartError};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use config::Config;
pub use error::Error;

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
}

/// The service, built and ready to be served.
pub struct Service {
    rpc: rpc::Rpc,
    messenger: Messenger,
}

/// Opens the store, migrates it if the settings say so, and builds the service. Binds nothing.
pub async fn build(config: Config, deps: Deps) -> Result<Service, StartError> {
    let database = store::open(&config).await?;
    let messenger = Messenger::new(database.clone(), deps.broker, deps.clock.clone(), config.messaging);
    let store: Arc<dyn store::Store> = store::over(database, messenger.publisher()).into();
    let effects = Effects::new(store.clone(), deps.clock.clone());
    let accounts = accounts::Accounts::new(deps.auth);
    Ok(Service {
        rpc: rpc::Rpc::new(store, accounts, deps.clock),
        messenger: messenger.consuming(events::CONSUMER, Arc::new(effects)),
    })
}

impl Hosted for Service {
    fn add_to(&self, routes: &mut RoutesBuilder) {
        self.rpc.clone().add_to(routes);
    }

    async fn run(self, stop: CancellationToken) {
        self.messenger.run(stop).await;
    }
}
