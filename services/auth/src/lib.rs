//! The auth service: accounts, sessions and tokens: who somebody is, and how they prove it.
//!
//! Rooms in reading order: [`config`], [`domain`] (types and rules), [`rpc`] (one file per RPC),
//! [`store`] (one trait, two databases; the effects of events are there), [`events`] (what is
//! published), [`hashing`] (passwords, off the async threads), `breaches` (which of them are
//! known), [`ended_sessions`] (the feed of them), [`workers`] (what runs in the background),
//! [`admin`] (what an operator does), [`error`].

pub mod admin;
mod breaches;
pub mod config;
pub mod domain;
pub mod ended_sessions;
pub mod error;
pub mod events;
pub mod hashing;
mod key_ring;
pub mod process;
pub mod rpc;
pub mod store;
mod tokens;
mod users;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_messaging::{Broker, Effects, Messenger};
use quartet_rpc::host::{Hosted, StartError};
use quartet_rpc::server::Probe;
use quartet_rpc::{Peer, Verifier};
use quartet_store::Database;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use config::Config;
pub use error::Error;

use breaches::Breaches;
use domain::{Algorithm, Clients, DeviceKey, FactorKey, MailKey};
use ended_sessions::EndedSessions;
use hashing::{Bounds, Hashing};
use key_ring::KeyRing;
use tokens::Tokens;

/// The proto packages that this service serves.
pub const PACKAGES: &[&str] = &["quartet.auth.v1"];

/// Bound on what a start does in the store.
const START: Duration = Duration::from_secs(30);

/// What the service needs from the process it runs in.
pub struct Deps {
    /// Time, ids and randomness.
    pub clock: Clock,
    /// The users service, which makes the user of an account.
    pub users: Peer,
    /// The key of the tokens in mails: `host.key_for(MailKey::PURPOSE)`.
    pub mail_key: [u8; 32],
    /// The key of the tokens of devices: `host.key_for(DeviceKey::PURPOSE)`.
    pub device_key: [u8; 32],
    /// The key of second factors: `host.key_for(FactorKey::PURPOSE)`.
    pub factor_key: [u8; 32],
    /// Checks tokens for those who do not themselves: `host.verifier()`.
    pub verifier: Verifier,
    /// Carries messages; without one, they wait in the outbox.
    pub broker: Option<Arc<dyn Broker>>,
}

/// The service, built and ready to be served.
pub struct Service {
    database: Database,
    rpc: rpc::Rpc,
    messenger: Messenger,
}

/// Opens the store, migrates it if the settings say so, makes the first signing key if there is
/// none, and builds the service. Binds nothing.
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
        mail_key,
        device_key,
        factor_key,
        verifier,
        broker,
    } = deps;
    let messenger = Messenger::new(database.clone(), broker, clock.clone(), messaging);
    let ended = EndedSessions::new(own.revocation_life());
    let store: Arc<dyn store::Store> = store::over(database.clone(), messenger.publisher(), ended.clone()).into();
    if own.jwt_algorithm == Algorithm::Hs256 && shared.jwt_hs256_secret.is_none() {
        return Err("JWT_HS256_SECRET: expected a secret of at least 32 characters with JWT_ALGORITHM=HS256".into());
    }
    if own.access_token_ttl.0 > shared.token_max_life.0 {
        return Err("ACCESS_TOKEN_TTL: expected no more than TOKEN_MAX_LIFE".into());
    }
    let clients = Clients::read(&own.oauth_clients.0).map_err(|error| format!("OAUTH_CLIENTS: {error}"))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bounds = Bounds {
        concurrency: own.hashing_concurrency.unwrap_or(cores),
        waiting: own.hashing_queue,
        share: own.hashing_queue_per_address,
    };
    let hashing = Hashing::new(clock.clone(), own.hardness(), bounds)
        .map_err(|error| format!("ARGON2_MEMORY_KIB, ARGON2_ITERATIONS, ARGON2_PARALLELISM: {error}"))?;
    let breaches = Breaches::new(own.breached_passwords_url.clone(), own.breached_passwords_timeout.0)
        .map_err(|error| format!("BREACHED_PASSWORDS_URL: {error}"))?;
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
    let effects = Effects::new(store.clone(), clock.clone());
    let replies = Arc::new(messenger.replies());
    Ok(Service {
        database,
        messenger: messenger.consuming(events::CONSUMER, Arc::new(effects)),
        rpc: rpc::Rpc {
            ended,
            mail_key: MailKey::new(mail_key),
            device_key: DeviceKey::new(device_key),
            factor_key: FactorKey::new(factor_key),
            breaches,
            clients: Arc::new(clients),
            config: Arc::new(own),
            public_url: shared.public_url.into(),
            hashing,
            tokens,
            users,
            verifier,
            store,
            clock,
            replies,
        },
    })
}

impl Service {
    /// Hashes passwords for this service; tests read its counters and keep it busy.
    pub fn hashing(&self) -> Hashing {
        self.rpc.hashing.clone()
    }
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
        let rpc = self.rpc;
        tokio::join!(
            self.messenger.run(stop.clone()),
            workers::follow(rpc.ended, rpc.store.clone(), rpc.clock.clone(), stop.clone()),
            workers::watch_keys(rpc.tokens.ring, stop.clone()),
            workers::prune(
                rpc.store,
                rpc.clock,
                rpc.config.login_failure_window.0,
                rpc.config.audit_keep.0,
                stop
            ),
        );
    }
}
