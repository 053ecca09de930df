//! The auth service: accounts, sessions and tokens: who somebody is, and how they prove it.
//!
//! Rooms in reading order: [`config`], [`domain`] (types and rules), [`rpc`] (one file per RPC), [`store`] (one trait, two databases),
//! [`hashing`] (passwords, off the async threads), [`mail`] (what is sent and how), [`admin`] (what an operator does),
//! [`events`] (what is said and heard), [`error`].

pub mod admin;
pub mod config;
pub mod domain;
mod ended_sessions;
pub mod error;
pub mod events;
pub mod hashing;
mod key_ring;
pub mod mail;
pub mod rpc;
pub mod store;
mod tokens;
mod upkeep;
mod users;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_messaging::{Broker, Messenger};
use quartet_rpc::Peer;
use quartet_rpc::host::{Hosted, StartError};
use quartet_store::Database;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use config::Config;
pub use error::Error;

use domain::Algorithm;
use ended_sessions::EndedSessions;
use hashing::Hashing;
use key_ring::KeyRing;
use mail::{Jobs, Postman};
use tokens::Tokens;

/// The proto packages that this service serves.
pub const PACKAGES: &[&str] = &["quartet.auth.v1"];

/// Bound on what a start asks of the store.
const START: Duration = Duration::from_secs(30);

/// What the service needs from the process it runs in.
pub struct Deps {
    /// Time, ids and randomness.
    pub clock: Clock,
    /// The users service, which makes the user of an account.
    pub users: Peer,
    /// The jobs service, which sends mails.
    pub jobs: Peer,
    /// Carries messages; without one, they wait in the outbox.
    pub broker: Option<Arc<dyn Broker>>,
}

/// The service, built and ready to be served.
pub struct Service {
    rpc: rpc::Rpc,
    messenger: Messenger,
}

/// Opens the store, migrates it if the settings say so, makes the first signing key if there is none, and builds the service. Binds nothing.
pub async fn build(config: Config, deps: Deps) -> Result<Service, StartError> {
    let database = store::open(&config).await?;
    over(config, deps, database).await
}

/// The service over a database that is open and migrated.
pub async fn over(config: Config, deps: Deps, database: Database) -> Result<Service, StartError> {
    let Config {
        own,
        rpc: shared,
        messaging,
        ..
    } = config;
    let Deps {
        clock,
        users,
        jobs,
        broker,
    } = deps;
    let messenger = Messenger::new(database.clone(), broker, clock.clone(), messaging);
    let store: Arc<dyn store::Store> = store::over(database, messenger.publisher()).into();
    if own.jwt_algorithm == Algorithm::Hs256 && shared.jwt_hs256_secret.is_none() {
        return Err("JWT_HS256_SECRET: expected a secret of at least 32 characters with JWT_ALGORITHM=HS256".into());
    }
    let mailer = Jobs::new(jobs, &own.public_url);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let concurrency = own.hashing_concurrency.unwrap_or(cores);
    let hashing = Hashing::new(clock.clone(), own.hardness(), concurrency, own.hashing_queue)
        .map_err(|error| format!("ARGON2_MEMORY_KIB, ARGON2_ITERATIONS, ARGON2_PARALLELISM: {error}"))?;
    let ring = KeyRing::open(
        clock.clone(),
        store.clone(),
        own.jwt_algorithm,
        shared.jwt_hs256_secret.as_ref(),
        Deadline::after(START),
    )
    .await?;
    let tokens = Tokens {
        clock: clock.clone(),
        ring,
        issuer: shared.token_issuer,
        audience: shared.token_audience,
        access_ttl: own.access_token_ttl.0,
    };
    let ended = EndedSessions::new(clock.clone(), store.clone());
    let hearing = events::Hearing::new(store.clone(), ended.clone(), clock.clone(), own.revocation_life());
    Ok(Service {
        messenger: messenger.consuming(events::CONSUMER, Arc::new(hearing)),
        rpc: rpc::Rpc {
            ended,
            postman: Postman::new(clock.clone(), store.clone(), Arc::new(mailer)),
            config: Arc::new(own),
            hashing,
            tokens,
            users,
            store,
            clock,
        },
    })
}

impl Service {
    /// Hashes passwords for this service; tests look at its counters and keep it busy.
    pub fn hashing(&self) -> Hashing {
        self.rpc.hashing.clone()
    }
}

impl Hosted for Service {
    fn add_to(&self, routes: &mut RoutesBuilder) {
        self.rpc.clone().add_to(routes);
    }

    async fn run(self, stop: CancellationToken) {
        let rpc = self.rpc;
        tokio::join!(
            self.messenger.run(stop.clone()),
            rpc.ended.run(stop.clone()),
            rpc.postman.run(stop.clone()),
            upkeep::watch_keys(rpc.tokens.ring, stop.clone()),
            upkeep::prune(rpc.store, rpc.clock, rpc.config.login_failure_window.0, stop),
        );
    }
}
