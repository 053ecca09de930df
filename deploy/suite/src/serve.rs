//! The suite in one process: every service behind the same layers as when it runs alone, with calls in memory in place of a network.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use quartet_clock::Clock;
use quartet_rpc::host::{Host, Hosted, StartError, stop_at_signal};
use quartet_rpc::server::Stack;
use quartet_rpc::{Upstream, upstream::LocalSlot};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::data_folder;
use crate::settings::Settings;

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(mut settings: Settings) -> anyhow::Result<()> {
    let begun = Instant::now();
    quartet_telemetry::start(&settings.telemetry);
    data_folder::make(&settings.own.data_dir)?;
    settings.share_secret()?;
    let grace = settings.rpc.shutdown_timeout.0;

    // Services reach one another through these before they are built; the slots are filled below.
    let (auth_upstream, auth_slot) = Upstream::local("auth");
    let (todos_upstream, todos_slot) = Upstream::local("todos");
    let host = Host::new("quartet", settings.rpc.clone(), Clock::system(), auth_upstream.clone())?;

    let todos = quartet_todos::build(settings.todos.clone(), quartet_todos::Deps { clock: host.clock() })
        .await
        .map_err(plain)?;

    let packages: Vec<&str> = [quartet_todos::PACKAGES].concat();
    let stack = Stack::new(host.access(), &packages, |routes| {
        todos.add_to(routes);
    })
    .await?;
    for slot in [&auth_slot, &todos_slot] {
        LocalSlot::fill(slot, stack.local());
    }
    let upstreams = BTreeMap::from([("auth".to_owned(), auth_upstream), ("todos".to_owned(), todos_upstream)]);
    let deps = quartet_gateway::Deps {
        upstreams,
        clock: host.clock(),
        verifier: host.verifier(),
    };
    let http_address = settings.gateway.http_address;
    let gateway = quartet_gateway::build(settings.gateway.clone(), deps).await?;

    let grpc = bind("GRPC_ADDRESS", settings.own.grpc_address).await?;
    let http = bind("HTTP_ADDRESS", http_address).await?;
    let (grpc_address, http_address) = (grpc.local_addr()?, http.local_addr()?);

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(stop_at_signal(stop.clone()));
    tasks.spawn(host.watch_revocations(stop.clone()));
    tasks.spawn(todos.run(stop.clone()));
    tasks.spawn(gateway.serve(http, stop.clone()));
    tasks.close();
    println!(
        "{}",
        banner(&http_address.to_string(), &grpc_address.to_string(), begun)
    );

    let served = stack.serve(grpc, stop.clone(), grace).await;
    stop.cancel();
    // What does not end in time is given up; every write was answered only once it was kept.
    let _ = tokio::time::timeout(grace, tasks.wait()).await;
    tracing::info!("the suite has stopped");
    Ok(served?)
}

async fn bind(setting: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{setting}: cannot listen on {address}"))
}

fn banner(http: &str, grpc: &str, begun: Instant) -> String {
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
