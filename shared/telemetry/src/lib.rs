//! Logs, traces and metrics of every process, set up in one call: [`start`] at the top of `main`,
//! before anything else is built.
//!
//! In reading order:
//! - [`logs`]: which lines are written, and in which format;
//! - [`context`]: a span's context as it travels (W3C Trace Context);
//! - [`traced_span`]: one process's part of a trace;
//! - [`traces`]: where spans are exported to, and which of them;
//! - [`metrics`]: the names of the metrics, and the address that serves them;
//! - [`in_memory_exporter`]: finished spans in memory, for tests.

pub mod context;

pub mod in_memory_exporter;
pub mod logs;
pub mod metrics;
pub mod traced_span;
pub mod traces;

use std::net::SocketAddr;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use context::TraceContext;
pub use traced_span::TracedSpan;

quartet_config::settings! {
    /// Settings of logs, traces and metrics.
    pub struct Config {
        /// Which lines are logged: a level, or directives such as `info,quartet_gateway=debug`.
        log_filter: logs::Filter = "LOG_FILTER" or "info,sqlx=warn,sqlx::postgres::notice=error,\
            h2=warn,hyper=warn,lapin::returned_messages=off";
        /// Format of log lines: `text`, `json`, or `auto`, which is text on a terminal and JSON
        /// elsewhere.
        log_format: logs::Format = "LOG_FORMAT" or "auto";
        /// The collector that receives traces, by OTLP over gRPC, such as `http://localhost:4317`,
        /// or `https://…` for TLS. Not set: traces are not exported; log lines have their ids all
        /// the same.
        otlp_endpoint: Option<traces::Endpoint> = "OTEL_EXPORTER_OTLP_ENDPOINT";
        /// The name of the process in traces; by default `quartet`, `gateway`, or the service's
        /// own.
        service_name: Option<String> = "OTEL_SERVICE_NAME";
        /// Which traces are exported: `always_on`, `always_off`, `traceidratio`, or one of them
        /// after `parentbased_`, which follows the client's decision where there is one.
        traces_sampler: traces::Choice = "OTEL_TRACES_SAMPLER" or "parentbased_traceidratio";
        /// The share of traces that `traceidratio` exports, from 0 to 1.
        traces_sampler_arg: traces::Ratio = "OTEL_TRACES_SAMPLER_ARG" or "1";
        /// Address that serves metrics to Prometheus, at `/metrics`; each process has its own. Not
        /// set: nothing is counted.
        metrics_address: Option<SocketAddr> = "METRICS_ADDRESS";
    }
}

/// Why telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exporter of traces cannot be created.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
    /// Metrics cannot be served.
    #[error("METRICS_ADDRESS: {0}")]
    Metrics(String),
}

/// The running telemetry of a process. [`Telemetry::finish`] exports the spans that are not
/// exported yet; call it at every end of the process, on errors as well.
#[must_use = "spans that are not exported yet are lost unless `finish` is called"]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Starts logs to standard error, traces and metrics for the process `name`. Call it inside a tokio
/// runtime, once.
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
    /// Exports the remaining spans, within a bound.
    pub async fn finish(self) {
        // It blocks on the collector, and the runtime's threads do that I/O.
        let _ = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(traces::LAST_EXPORT)).await;
    }
}
