//! The suite in one process: every service behind the same layers as when it runs alone, with calls
//! in memory in place of a network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_gateway::Gateway;
use quartet_gateway::ws::rooms::Rooms;
use quartet_redis::Redis;
use quartet_rpc::Upstream;
use quartet_rpc::host::{self, Host, Hosted, StartError, stop_at_signal};
use quartet_rpc::server::Stack;
use quartet_rpc::token::ServiceTokens;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::settings::Settings;
use crate::{broker, data_folder};

/// The suite, built but not yet bound to its ports.
struct Suite {
    host: Host,
    stack: Stack,
    auth: quartet_auth::Service,
    users: quartet_users::Service,
    todos: quartet_todos::Service,
    jobs: quartet_jobs::Service,
    gateway: Gateway,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let begun = Instant::now();
    let telemetry = quartet_telemetry::start(&settings.source, "quartet")?;
    let served = serve(settings, begun).await;
    telemetry.finish().await;
    served
}

async fn serve(mut settings: Settings, begun: Instant) -> anyhow::Result<()> {
    data_folder::create(&settings.own.data_dir)?;
    settings.share_secret()?;
    let suite = build(&settings).await?;

    let grpc = bind("GRPC_ADDRESS", settings.own.grpc_address).await?;
    let http = bind("HTTP_ADDRESS", settings.gateway.http_address).await?;
    let banner = banner(http.local_addr()?, grpc.local_addr()?, begun);

    let grace = settings.rpc.shutdown_timeout.0;
    // The signal stops the gateway; the services continue until it has drained, since requests in
    // flight need them.
    let (stop, drained) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    tasks.spawn(stop_at_signal(stop.clone()));
    let probes = vec![
        suite.auth.probe(),
        suite.users.probe(),
        suite.todos.probe(),
        suite.jobs.probe(),
    ];
    let revocations = suite.host.revocations();
    tasks.spawn(suite.stack.watch(probes, revocations, drained.clone()).await);
    tasks.spawn(suite.host.watch(drained.clone()));
    tasks.spawn(suite.auth.run(drained.clone()));
    tasks.spawn(suite.users.run(drained.clone()));
    tasks.spawn(suite.todos.run(drained.clone()));
    tasks.spawn(suite.jobs.run(drained.clone()));
    tasks.close();
    println!("{banner}");

    let gateway = async {
        suite.gateway.serve(http, stop.clone(), grace).await;
        drained.cancel();
    };
    let services = async {
        let served = suite.stack.serve(grpc, drained.clone(), grace).await;
        // If the port fails, everything stops.
        stop.cancel();
        served
    };
    let ((), served) = tokio::join!(gateway, services);
    // Tasks that do not end in time are dropped: no write is acknowledged before it is committed.
    let _ = tokio::time::timeout(grace, tasks.wait()).await;
    tracing::info!("the suite has stopped");
    Ok(served?)
}

/// Builds every service and the gateway. Binds nothing.
async fn build(settings: &Settings) -> anyhow::Result<Suite> {
    // Services call one another through these, which exist before the services; the slots are
    // filled below.
    let (auth_upstream, auth_slot) = Upstream::local("auth");
    let (users_upstream, users_slot) = Upstream::local("users");
    let (todos_upstream, todos_slot) = Upstream::local("todos");
    let (jobs_upstream, jobs_slot) = Upstream::local("jobs");
    let redis = Redis::open(&settings.redis)?;
    let host = Host::new(
        "quartet",
        settings.rpc.clone(),
        Clock::system(),
        auth_upstream.clone(),
        users_upstream.clone(),
    )?
    .limited(host::limits(&settings.source, redis.as_ref())?)
    .caching(cache(settings, redis)?);

    let broker = Some(broker::open(settings, host.clock()).await?);
    let deps = quartet_auth::Deps {
        clock: host.clock(),
        broker: broker.clone(),
        users: host.users(),
        mail_key: host.key_for(quartet_auth::domain::MailKey::PURPOSE),
        device_key: host.key_for(quartet_auth::domain::DeviceKey::PURPOSE),
        factor_key: host.key_for(quartet_auth::domain::FactorKey::PURPOSE),
        verifier: host.verifier(),
    };
    let auth = quartet_auth::build(settings.auth.clone(), deps).await.map_err(plain)?;
    let deps = quartet_users::Deps {
        clock: host.clock(),
        broker: broker.clone(),
        cache: host.cache(),
        auth: host.auth(),
    };
    let users = quartet_users::build(settings.users.clone(), deps)
        .await
        .map_err(plain)?;
    let deps = quartet_todos::Deps {
        clock: host.clock(),
        broker: broker.clone(),
        cache: host.cache(),
    };
    let todos = quartet_todos::build(settings.todos.clone(), deps)
        .await
        .map_err(plain)?;
    let deps = quartet_jobs::Deps {
        clock: host.clock(),
        broker,
        todos: host.peer(todos_upstream.clone()),
        auth: host.auth(),
        users: host.users(),
        link_key: host.key_for(quartet_jobs::links::PURPOSE),
        revocations: host.revocations(),
        names: Arc::new(quartet_jobs::egress::SystemResolver),
    };
    let jobs = quartet_jobs::build(settings.jobs.clone(), deps).await.map_err(plain)?;

    let packages = [
        quartet_auth::PACKAGES,
        quartet_users::PACKAGES,
        quartet_todos::PACKAGES,
        quartet_jobs::PACKAGES,
    ]
    .concat();
    let stack = Stack::new(
        host.access(),
        &packages,
        settings.rpc.reflects(&settings.source)?,
        |routes| {
            auth.add_to(routes);
            users.add_to(routes);
            todos.add_to(routes);
            jobs.add_to(routes);
        },
    )
    .await?;
    for slot in [auth_slot, users_slot, todos_slot, jobs_slot] {
        slot.fill(stack.local());
    }
    let upstreams = [auth_upstream, users_upstream, todos_upstream, jobs_upstream];
    let upstreams = upstreams.map(|upstream| (upstream.name().to_owned(), upstream)).into();
    let rpc = &settings.rpc;
    let tokens = rpc
        .service_token_secret
        .as_ref()
        .map(|secret| ServiceTokens::new("gateway", &rpc.token_audience, secret, host.clock()));
    let deps = quartet_gateway::Deps {
        public_url: rpc.public_url.clone(),
        upstreams,
        clock: host.clock(),
        verifier: Some(host.verifier()),
        limits: host.limits(),
        cache: host.cache(),
        tokens,
        rooms: Rooms::connect(&settings.messaging, "quartet", &host.clock())?,
    };
    let gateway = quartet_gateway::build(&settings.gateway, deps)?;
    Ok(Suite {
        host,
        stack,
        auth,
        users,
        todos,
        jobs,
        gateway,
    })
}

/// Where replies are cached: in Redis, or in memory.
fn cache(settings: &Settings, redis: Option<Redis>) -> anyhow::Result<Cache> {
    let config = &settings.cache;
    Ok(match (config.cache_enabled, &redis) {
        (true, None) => Cache::local(config.cache_max_memory.0),
        _ => host::shared_cache(&settings.source, redis)?,
    })
}

async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{setting}: cannot listen on {address}"))
}

fn banner(http: SocketAddr, grpc: SocketAddr, begun: Instant) -> String {
    format!(
        "Quartet is up after {} ms.

  REST    http://{http}/api/v1
  Docs    http://{http}/docs
  gRPC    {grpc}  (all services, with reflection)

Make the first superuser with: quartet create-superuser
Stop with Ctrl-C.",
        begun.elapsed().as_millis()
    )
}

fn plain(error: StartError) -> anyhow::Error {
    anyhow!(error)
}
