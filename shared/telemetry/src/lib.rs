//! Logs, traces and metrics of every process, set up in one call: [`start`] at the top of `main`, before anything else is built.
//!
//! In reading order:
//! - [`logs`]: what is written, and how a line looks;
//! - [`context`] is a place in a trace as it travels (W3C Trace Context), [`hop`] the part of a trace that one process does, [`traces`] where
//!   they are exported to;
//! - [`metrics`]: what is counted, and the address that tells it;
//! - [`kept`] is for tests.

pub mod context;
pub mod hop;
pub mod kept;
pub mod logs;
pub mod metrics;
pub mod traces;

use std::net::SocketAddr;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use context::TraceContext;
pub use hop::Hop;

quartet_config::settings! {
    /// Settings of logs, traces and metrics.
    pub struct Config {
        /// Which lines are logged: a level, or directives as `info,quartet_gateway=debug`.
        log_filter: logs::Filter = "LOG_FILTER" or "info,sqlx=warn,sqlx::postgres::notice=error,h2=warn,hyper=warn,lapin::returned_messages=off";
        /// How lines look: `text` for people, `json` for machines; `auto` is text on a terminal and JSON elsewhere.
        log_format: logs::Format = "LOG_FORMAT" or "auto";
        /// The collector that takes traces, by OTLP over gRPC, as `http://localhost:4317`, or `https://…` for TLS. Not set: traces are not exported;
        /// log lines have their ids all the same.
        otlp_endpoint: Option<traces::Endpoint> = "OTEL_EXPORTER_OTLP_ENDPOINT";
        /// The name of the process in traces; by default `quartet`, `gateway`, or the service's own.
        service_name: Option<String> = "OTEL_SERVICE_NAME";
        /// Which traces are exported: `always_on`, `always_off`, `traceidratio`, or one of them after `parentbased_`, which follows the client's word
        /// where there is one.
        traces_sampler: traces::Choice = "OTEL_TRACES_SAMPLER" or "parentbased_traceidratio";
        /// The share of traces that `traceidratio` exports, from 0 to 1.
        traces_sampler_arg: traces::Ratio = "OTEL_TRACES_SAMPLER_ARG" or "1";
        /// Address that tells metrics to Prometheus, at `/metrics`; each process has its own. Not set: nothing is counted.
        metrics_address: Option<SocketAddr> = "METRICS_ADDRESS";
    }
}

/// Why a process cannot be seen running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exporter of traces cannot be made.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
    /// Metrics cannot be told.
    #[error("METRICS_ADDRESS: {0}")]
    Metrics(String),
}

/// What was started. Spans that are not exported yet go out in [`Telemetry::finish`], at the end of the process, however that comes.
#[must_use = "what is not exported yet is lost unless `finish` is called"]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Starts logs to standard error, traces and metrics for the process `name`. Call it inside a tokio runtime, once.
pub fn start(config: &Config, name: &str) -> Result<Telemetry, Error> {
    let service = config.service_name.as_deref().unwrap_or(name);
    let provider = traces::provider(config, service)?;
    // A subscriber that is already in place, as in a test binary, stays.
    let _ = tracing_subscriber::registry()
        .with(traces::layer(&provider))
        .with(logs::layer(config))
        .try_init();
    if let Some(address) = config.metrics_address {
        metrics::serve(address).map_err(Error::Metrics)?;
    }
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Exports what is left, within a bound.
    pub async fn finish(self) {
        // It waits for the collector, which the threads of the runtime talk to.
        let _ = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(traces::LAST_EXPORT)).await;
    }
}
