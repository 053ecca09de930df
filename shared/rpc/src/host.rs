//! The process around a service: the shell that every service's `main` is.
//!
//! A start has stages: settings (nothing is bound) → telemetry → build → bind and log the address →
//! serve → signal → drain, bounded.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_config::{Error as SettingError, Secret, Source};
use quartet_limits::Limits;
use quartet_limits::counters::Counters;
use quartet_proto::descriptors;
use quartet_redis::Redis;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::RoutesBuilder;

use crate::access::AccessLayer;
use crate::keys::Keys;
use crate::revocations::Revocations;
use crate::server::{Probe, Stack};
use crate::service_keys::PrivateKey;
use crate::tls::ServerTls;
use crate::token::ServiceTokens;
use crate::upstream::{LocalSlot, Upstreams};
use crate::{Config, Peer, Upstream, Verifier, rate_limits};

/// Why a process does not start. It is shown to a person, who wants one line.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// A service that a process can host.
pub trait Hosted: Sized + Send + 'static {
    /// Adds the service's gRPC methods to a server.
    fn add_to(&self, routes: &mut RoutesBuilder);

    /// Whether the service's store answers.
    fn probe(&self) -> Probe;

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
    private_key: Option<PrivateKey>,
    clock: Clock,
    auth: Upstream,
    users: Upstream,
    keys: Keys,
    revocations: Revocations,
    verifier: Verifier,
    limits: Limits,
    cache: Cache,
}

impl Host {
    /// The host of the process `name`, which reaches the auth service at `auth` and the users
    /// service at `users`. It limits nobody; see [`Host::limited`].
    ///
    /// Errors: a setting that is missing or too short, by name.
    pub fn new(
        name: &str,
        config: Config,
        clock: Clock,
        auth: Upstream,
        users: Upstream,
    ) -> Result<Self, SettingError> {
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
        let verifier = Verifier::new(&config, &secret, keys.clone(), revocations.clone(), clock.clone())?;
        let private_key = config.service_key_file.as_deref().map(PrivateKey::open).transpose()?;
        Ok(Self {
            name: name.into(),
            config,
            secret,
            private_key,
            clock,
            auth,
            users,
            keys,
            revocations,
            verifier,
            limits: Limits::none(),
            cache: Cache::none(),
        })
    }

    /// The same host, which limits how often its callers may call.
    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same host, which caches replies.
    #[must_use]
    pub fn caching(self, cache: Cache) -> Self {
        Self { cache, ..self }
    }

    /// Where replies are cached, for whoever makes them outdated.
    pub fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// How often callers may call.
    pub fn limits(&self) -> Limits {
        self.limits.clone()
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
        key_for(&self.secret, purpose)
    }

    /// The sessions that no longer count.
    pub fn revocations(&self) -> Revocations {
        self.revocations.clone()
    }

    /// The layer in front of every method.
    pub fn access(&self) -> AccessLayer {
        AccessLayer::new(
            self.verifier.clone(),
            self.limits.clone(),
            self.config.default_deadline.0,
        )
    }

    /// The service behind `upstream`, to be called in this process's name.
    pub fn peer(&self, upstream: Upstream) -> Peer {
        Peer::new(upstream, self.tokens(&self.name))
    }

    /// Tokens that speak for `service`, for what this process does in its name.
    pub fn tokens(&self, service: &str) -> ServiceTokens {
        let audience = &self.config.token_audience;
        match &self.private_key {
            Some(key) => ServiceTokens::signed_with(service, audience, key.clone(), self.clock.clone()),
            None => ServiceTokens::new(service, audience, &self.secret, self.clock.clone()),
        }
    }

    /// The auth service.
    pub fn auth(&self) -> Peer {
        self.peer(self.auth.clone())
    }

    /// The users service.
    pub fn users(&self) -> Peer {
        self.peer(self.users.clone())
    }

    /// Keeps the list of ended sessions, the keys and the limits of tiers up to date, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let limits = rate_limits::watch(self.limits.clone(), self.users(), stop.clone());
        let keys = self.keys.clone().watch(stop.clone());
        let revocations = self.revocations.clone().watch(self.auth(), self.keys.clone(), stop);
        tokio::join!(limits, keys, revocations);
    }
}

/// See [`Host::key_for`].
pub(crate) fn key_for(secret: &Secret, purpose: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(Sha256::digest(secret.expose()))
        .chain_update(purpose)
        .finalize()
        .into()
}

/// Runs one service as a process: reads the settings, has `build` make the service and return its
/// address, and serves it until SIGTERM or SIGINT.
pub async fn main<S: Hosted>(
    name: &str,
    packages: &[&str],
    build: impl AsyncFnOnce(&Source, &Host) -> Result<(SocketAddr, S), StartError>,
) -> ExitCode {
    let started = async {
        let source = Source::load()?;
        let telemetry = quartet_telemetry::start(&source, name)?;
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

/// Has the kernel give this process memory in small pages alone. A huge one, which the allocator does not ask
/// for but a system may give to everybody, is cleared as a whole and counts as a whole: a process that waits
/// had 20 MiB in place of 50, and creations cost less CPU time. Call it first, before much memory is in use.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    // A kernel that cannot serves all the same.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Answers the command line of a process that only serves: `--version` and `--help`. `None` when there
/// is nothing on it, and the process is to serve.
pub fn answer_arguments(name: &str) -> Option<ExitCode> {
    match std::env::args().nth(1)?.as_str() {
        "--version" | "-V" => {
            println!("{name} {}", quartet_telemetry::build_info::text());
            Some(ExitCode::SUCCESS)
        }
        "--help" | "-h" => {
            println!(
                "Serves {name} of the Quartet suite until SIGTERM or SIGINT.\n\nUsage: {name} [--version | --help]\n\n\
                 Settings come from .env, .env.{{ENVIRONMENT}}, the environment and files of secrets;\n\
                 `quartet config` prints them, and .env.example documents each."
            );
            Some(ExitCode::SUCCESS)
        }
        other => {
            eprintln!("{name}: unknown argument `{other}`; see {name} --help");
            Some(ExitCode::from(2))
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
    let grace = config.shutdown_timeout.0;
    let reflects = config.reflects(source)?;
    let tls = ServerTls::read(source)?;
    let (own, slot) = Upstream::local(name);
    let upstreams = Upstreams::read(source)?;
    let auth = neighbour("auth", "AUTH_URL", &config.auth_url, &own, &upstreams)?;
    let users = neighbour("users", "USERS_URL", &config.users_url, &own, &upstreams)?;
    let redis = Redis::open(&quartet_redis::Config::read(source)?)?;
    let host = Host::new(name, config, Clock::system(), auth, users)?
        .limited(limits(source, redis.as_ref())?)
        .caching(shared_cache(source, redis)?);
    let (address, service) = build(source, &host).await?;
    serve(name, packages, host, slot, address, service, grace, reflects, tls).await
}

/// A service that every process calls; the process of that service reaches itself without the
/// network.
fn neighbour(
    name: &str,
    setting: &str,
    address: &str,
    own: &Upstream,
    upstreams: &Upstreams,
) -> Result<Upstream, StartError> {
    if name == own.name() {
        return Ok(own.clone());
    }
    Ok(upstreams
        .remote(name, address)
        .map_err(|error| missing(setting, &error.to_string()))?)
}

/// The cache of the settings that several processes share, in Redis; none without it. Call it inside
/// a tokio runtime.
///
/// Errors: a setting that is malformed, by name.
pub fn shared_cache(source: &Source, redis: Option<Redis>) -> Result<Cache, SettingError> {
    let is_on = quartet_cache::Config::read(source)?.cache_enabled;
    Ok(redis.filter(|_| is_on).map_or_else(Cache::none, Cache::shared))
}

/// The limits of the settings, counted in Redis where there is one.
///
/// Errors: a setting that is malformed, by name.
pub fn limits(source: &Source, redis: Option<&Redis>) -> Result<Limits, SettingError> {
    let counters = match redis {
        Some(redis) => Counters::shared(redis.clone()),
        None => Counters::local(),
    };
    Limits::new(&quartet_limits::Config::read(source)?, descriptors::pool(), counters)
}

#[expect(clippy::too_many_arguments, reason = "all that a process is made of, in one place")]
async fn serve<S: Hosted>(
    name: &str,
    packages: &[&str],
    host: Host,
    own: LocalSlot,
    address: SocketAddr,
    service: S,
    grace: std::time::Duration,
    reflects: bool,
    tls: Option<ServerTls>,
) -> Result<(), StartError> {
    let stack = Stack::new(host.access(), packages, reflects, |routes| service.add_to(routes)).await?;
    let stack = stack.over(tls);
    own.fill(stack.local());
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let revocations = host.revocations();
    tasks.spawn(stack.watch(vec![service.probe()], revocations, stop.clone()).await);
    tasks.spawn(host.watch(stop.clone()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_does_not_start_without_secrets_of_its_own() {
        let long = "0123456789abcdef0123456789abcdef";
        for (settings, wrong) in [
            (vec![], Some("SERVICE_TOKEN_SECRET")),
            (vec![("SERVICE_TOKEN_SECRET", "secret")], Some("SERVICE_TOKEN_SECRET")),
            (vec![("SERVICE_TOKEN_SECRET", &long[1..])], Some("SERVICE_TOKEN_SECRET")),
            (
                vec![("SERVICE_TOKEN_SECRET", long), ("JWT_HS256_SECRET", "secret")],
                Some("JWT_HS256_SECRET"),
            ),
            (vec![("SERVICE_TOKEN_SECRET", long)], None),
        ] {
            let config = Config::read(&Source::of(settings.clone())).unwrap();
            let away = |name| Upstream::local(name).0;
            let host = Host::new("todos", config, Clock::system(), away("auth"), away("users"));
            match (host, wrong) {
                (Ok(_), None) => {}
                (Err(error), Some(name)) => {
                    let text = error.to_string();
                    assert!(text.contains(name) && !text.contains(long), "{text}");
                }
                (host, _) => panic!("{settings:?}: {:?}", host.err()),
            }
        }
    }
}
