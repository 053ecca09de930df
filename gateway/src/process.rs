//! The gateway in a process of its own, from settings.

use std::process::ExitCode;

use quartet_clock::Clock;
use quartet_config::Source;
use quartet_rpc::host::stop_at_signal;
use tokio_util::sync::CancellationToken;

use crate::{Config, start};

/// Serves until SIGTERM or SIGINT.
pub async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let source = Source::load()?;
    let telemetry = quartet_telemetry::start(&source, "gateway")?;
    let served = serve(&source).await;
    telemetry.finish().await;
    served
}

async fn serve(source: &Source) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let deps = start::deps(source, Clock::system(), &stop)?;
    let config = Config::read(source)?;
    let gateway = crate::build(&config, deps)?;
    let listener = start::bind(config.http_address).await?;
    tracing::info!(address = %listener.local_addr()?, "gateway serves REST");
    tokio::spawn(stop_at_signal(stop.clone()));
    gateway
        .serve(listener, stop, quartet_rpc::Config::read(source)?.shutdown_timeout.0)
        .await;
    tracing::info!("gateway has stopped");
    Ok(())
}
