//! The process around a service: the shell that every service's `main` is.
//!
//! A start has stages: settings (nothing is bound) → telemetry → build → bind and log the address →
//! serve → signal → drain, bounded.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use quartet_clock::Clock;
use quartet_config::{Error as SettingError, Secret, Source};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::RoutesBuilder;

use crate::access::AccessLayer;
use crate::keys::Keys;
use crate::revocations::Revocations;
use crate::server::Stack;
use crate::token::ServiceTokens;
use crate::upstream::LocalSlot;
use crate::{Config, Peer, Upstream, Verifier};

/// Why a process does not start. It is shown to a person, who wants one line.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// A service that a process can host.
pub trait Hosted: Sized + Send + 'static {
    /// Adds the service's gRPC methods to a server.
    fn add_to(&self, routes: &mut RoutesBuilder);

    /// Does the service's background work until `stop`.
    fn run(self, stop: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// What a process knows of the suite around it: whose tokens count, and how it proves itself to
/// others.
#[derive(Clone)]
pub struct Host {
    name: Arc<str>,
    config: Config,
    secret: Secret,
    clock: Clock,
    auth: Upstream,
    revocations: Revocations,
    verifier: Verifier,
}

impl Host {
    /// The host of the process `name`, which reaches the auth service at `auth`.
    ///
    /// Errors: a setting that is missing or too short, by name.
    pub fn new(name: &str, config: Config, clock: Clock, auth: Upstream) -> Result<Self, SettingError> {
        let secret = long_enough("SERVICE_TOKEN_SECRET", config.service_token_secret.as_ref())?;
        let secret = secret.ok_or_else(|| {
            missing(
                "SERVICE_TOKEN_SECRET",
                "a secret of at least 32 characters, equal in every process",
            )
        })?;
        let hs256 = long_enough("JWT_HS256_SECRET", config.jwt_hs256_secret.as_ref())?;
        let keys = Keys::new(Arc::new(auth.clone()), hs256.as_ref());
        let revocations = Revocations::new(clock.clone(), config.revocation_grace.0);
        let verifier = Verifier::new(&config, &secret, keys, revocations.clone(), clock.clone());
        Ok(Self {
            name: name.into(),
            config,
            secret,
            clock,
            auth,
            revocations,
            verifier,
        })
    }

    /// Time, ids and randomness.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Checks tokens.
    pub fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// A key that every process of the suite has and nobody else: drawn from the shared secret for
    /// one `purpose`, so that what is signed for one is worth nothing for another.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(Sha256::digest(self.secret.expose()))
            .chain_update(purpose)
            .finalize()
            .into()
    }

    /// The sessions that no longer count.
    pub fn revocations(&self) -> Revocations {
        self.revocations.clone()
    }

    /// The layer in front of every method.
    pub fn access(&self) -> AccessLayer {
        AccessLayer::new(self.verifier.clone(), self.config.default_deadline.0)
    }

    /// The service behind `upstream`, to be called in this process's name.
    pub fn peer(&self, upstream: Upstream) -> Peer {
        Peer::new(upstream, self.tokens(&self.name))
    }

    /// Tokens that speak for `service`, for what this process does in its name.
    pub fn tokens(&self, service: &str) -> ServiceTokens {
        ServiceTokens::new(service, &self.config.token_audience, &self.secret, self.clock.clone())
    }

    /// The auth service.
    pub fn auth(&self) -> Peer {
        self.peer(self.auth.clone())
    }

    /// Keeps the list of ended sessions up to date, until `stop`.
    pub async fn watch_revocations(self, stop: CancellationToken) {
        let auth = self.auth();
        self.revocations.watch(auth, stop).await;
    }
}

/// Runs one service as a process: reads the settings, has `build` make the service and return its
/// address, and serves it until SIGTERM or SIGINT. The service named `auth` reaches itself without
/// the network.
pub async fn main<S: Hosted>(
    name: &str,
    packages: &[&str],
    build: impl AsyncFnOnce(&Source, &Host) -> Result<(SocketAddr, S), StartError>,
) -> ExitCode {
    let started = async {
        let source = Source::load()?;
        let telemetry = quartet_telemetry::start(&quartet_telemetry::Config::read(&source)?, name)?;
        let served = run(name, packages, &source, build).await;
        telemetry.finish().await;
        served
    };
    match started.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run<S: Hosted>(
    name: &str,
    packages: &[&str],
    source: &Source,
    build: impl AsyncFnOnce(&Source, &Host) -> Result<(SocketAddr, S), StartError>,
) -> Result<(), StartError> {
    let config = Config::read(source)?;
    let (auth, own_slot) = auth_upstream(name, &config)?;
    let grace = config.shutdown_timeout.0;
    let host = Host::new(name, config, Clock::system(), auth)?;
    let (address, service) = build(source, &host).await?;
    serve(name, packages, host, own_slot, address, service, grace).await
}

fn auth_upstream(name: &str, config: &Config) -> Result<(Upstream, Option<LocalSlot>), StartError> {
    if name == "auth" {
        let (upstream, slot) = Upstream::local("auth");
        return Ok((upstream, Some(slot)));
    }
    let upstream =
        Upstream::remote("auth", &config.auth_url).map_err(|error| missing("AUTH_URL", &error.to_string()))?;
    Ok((upstream, None))
}

async fn serve<S: Hosted>(
    name: &str,
    packages: &[&str],
    host: Host,
    own_slot: Option<LocalSlot>,
    address: SocketAddr,
    service: S,
    grace: std::time::Duration,
) -> Result<(), StartError> {
    let stack = Stack::new(host.access(), packages, |routes| service.add_to(routes)).await?;
    if let Some(slot) = own_slot {
        slot.fill(stack.local());
    }
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(host.watch_revocations(stop.clone()));
    tasks.spawn(service.run(stop.clone()));
    tasks.spawn(stop_at_signal(stop.clone()));
    tasks.close();
    tracing::info!(%address, "{name} serves gRPC");

    let served = stack.serve(listener, stop.clone(), grace).await;
    stop.cancel();
    // Background work that does not end in time is given up; it was made to be interrupted.
    let _ = tokio::time::timeout(grace, tasks.wait()).await;
    tracing::info!("{name} has stopped");
    Ok(served?)
}

/// Cancels `stop` at SIGTERM or SIGINT.
pub async fn stop_at_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals; only SIGKILL ends this process");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stop.cancelled() => return,
    }
    tracing::info!("stopping: calls in flight are served to their end");
    stop.cancel();
}

fn long_enough(name: &str, secret: Option<&Secret>) -> Result<Option<Secret>, SettingError> {
    match secret {
        Some(secret) if secret.expose().chars().count() < 32 => Err(SettingError::TooShort {
            name: name.to_owned(),
            least: 32,
        }),
        secret => Ok(secret.cloned()),
    }
}

fn missing(name: &str, expected: &str) -> SettingError {
    SettingError::Missing {
        name: name.to_owned(),
        expected: expected.to_owned(),
    }
}
