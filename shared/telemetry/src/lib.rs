//! Logs, traces and metrics of every process, set up in one call: [`start`] at the top of `main`,
//! before anything else is built.
//!
//! In reading order:
//! - [`logs`]: which lines are written, in which format, and where to;
//! - [`context`]: a span's context as it travels (W3C Trace Context);
//! - [`traced_span`]: one process's part of a trace;
//! - [`traces`]: where spans are exported to, and which of them;
//! - [`metrics`]: the names of the metrics, and the address that serves them;
//! - [`error_reports`]: errors to Sentry;
//! - [`build_info`]: version and commit;
//! - [`in_memory_exporter`]: finished spans in memory, for tests.

pub mod build_info;
pub mod context;
pub mod error_reports;
pub mod in_memory_exporter;
pub mod logs;
pub mod metrics;
mod panics;
pub mod traced_span;
pub mod traces;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use quartet_config::value::{Bytes, Span};
use quartet_config::{Environment, Source};
use sentry::Client;
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
        /// A file that log lines are written to as well, as JSON unless `LOG_FORMAT` is `text`. Each
        /// process needs one of its own.
        log_file: Option<PathBuf> = "LOG_FILE";
        /// The file is put aside, with the time in its name, when it has grown to this.
        log_file_max_size: Bytes = "LOG_FILE_MAX_SIZE" or "10MiB";
        /// Files that were put aside are deleted after this time.
        log_file_keep: Span = "LOG_FILE_KEEP" or "14d";
        /// The collector that receives traces, by OTLP over gRPC, such as `http://localhost:4317`,
        /// or `https://…` for TLS. Not set: nothing is exported; log lines have the ids of traces
        /// all the same.
        otlp_endpoint: Option<traces::Endpoint> = "OTEL_EXPORTER_OTLP_ENDPOINT";
        /// The name of the process in traces; by default `quartet`, `gateway`, or the service's
        /// own.
        service_name: Option<String> = "OTEL_SERVICE_NAME";
        /// Which traces are exported: `always_on`, `always_off`, `traceidratio`, or one of them
        /// after `parentbased_`, which follows the client's decision where there is one.
        traces_sampler: traces::Choice = "OTEL_TRACES_SAMPLER" or "parentbased_traceidratio";
        /// The share of traces that `traceidratio` exports, from 0 to 1.
        traces_sampler_arg: traces::Ratio = "OTEL_TRACES_SAMPLER_ARG" or "1";
        /// Address that serves metrics to Prometheus, at `/metrics`; each process has its own.
        metrics_address: Option<SocketAddr> = "METRICS_ADDRESS";
        /// `otlp` sends metrics to the collector as well, `none` does not.
        metrics_exporter: Export = "OTEL_METRICS_EXPORTER" or "none";
        /// `otlp` sends log lines to the collector as well, `none` does not.
        logs_exporter: Export = "OTEL_LOGS_EXPORTER" or "none";
        /// The Sentry project that errors are reported to, `https://key@host/project`.
        @secret sentry_dsn: Option<error_reports::Target> = "SENTRY_DSN";
    }
}

/// Whether something is sent to the collector, by the names of the OpenTelemetry specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// By OTLP.
    Otlp,
    /// Not at all.
    None,
}

impl FromStr for Export {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "otlp" => Ok(Self::Otlp),
            "none" => Ok(Self::None),
            _ => Err("expected otlp or none"),
        }
    }
}

/// Why telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is malformed.
    #[error(transparent)]
    Setting(#[from] quartet_config::Error),
    /// An exporter cannot be created.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
    /// Metrics cannot be served.
    #[error("METRICS_ADDRESS: {0}")]
    Metrics(String),
    /// The log file cannot be written.
    #[error("LOG_FILE: {0}")]
    LogFile(String),
    /// There is no thread for log lines.
    #[error("log lines cannot be written: {0}")]
    LogThread(String),
}

/// The running telemetry of a process. [`Telemetry::finish`] exports what is not exported yet; call
/// it at every end of the process, on errors as well.
#[must_use = "what is not exported yet is lost unless `finish` is called"]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
    lines: logs::Writers,
    reports: Option<Arc<Client>>,
}

/// Starts logs, traces, metrics and reports of errors for the process `name`. Call it inside a tokio
/// runtime, once.
pub fn start(source: &Source, name: &str) -> Result<Telemetry, Error> {
    let config = Config::read(source)?;
    let environment = source.environment()?;
    let resource = resource(config.service_name.as_deref().unwrap_or(name), environment);
    let traces = traces::provider(&config, resource.clone())?;
    let endpoint = |export| config.otlp_endpoint.as_ref().filter(|_| export == Export::Otlp);
    let logs = endpoint(config.logs_exporter)
        .map(|endpoint| logs::export::provider(&endpoint.0, resource.clone()))
        .transpose()?;
    let metrics = endpoint(config.metrics_exporter)
        .map(|endpoint| metrics::export::provider(&endpoint.0, resource))
        .transpose()?;
    let (reports, reporting) = config
        .sentry_dsn
        .as_ref()
        .map(|target| error_reports::start(target, environment, name))
        .unzip();
    let (mut layers, lines) = logs::layers(&config, logs.as_ref())?;
    layers.extend(reporting.map(error_reports::Reports::layer));
    // A subscriber that is already in place, as in a test binary, stays.
    let _ = tracing_subscriber::registry()
        .with(traces.as_ref().map(traces::layer))
        .with(layers)
        .try_init();
    for foreign in source.foreign() {
        tracing::warn!(
            setting = foreign.name,
            "this setting is not read; in its place there is {}",
            foreign.ours
        );
    }
    panics::log();
    let (metrics, recorder) = metrics.unzip();
    metrics::start(config.metrics_address, recorder).map_err(Error::Metrics)?;
    Ok(Telemetry {
        traces,
        metrics,
        logs,
        lines,
        reports,
    })
}

/// What describes the process to a collector.
fn resource(service: &str, environment: Environment) -> Resource {
    Resource::builder()
        .with_service_name(service.to_owned())
        .with_attributes([
            KeyValue::new("service.version", build_info::VERSION),
            KeyValue::new("deployment.environment.name", environment.name()),
        ])
        .build()
}

impl Telemetry {
    /// Exports what is left, within a bound.
    pub async fn finish(self) {
        // It blocks on the collector, and the runtime's threads do that I/O.
        let _ = tokio::task::spawn_blocking(move || {
            if let Some(traces) = &self.traces {
                let _ = traces.shutdown_with_timeout(traces::LAST_EXPORT);
            }
            if let Some(metrics) = &self.metrics {
                let _ = metrics.shutdown_with_timeout(traces::LAST_EXPORT);
            }
            if let Some(logs) = &self.logs {
                let _ = logs.shutdown_with_timeout(traces::LAST_EXPORT);
            }
            if let Some(reports) = &self.reports {
                reports.close(Some(traces::LAST_EXPORT));
            }
            drop(self.lines);
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[tokio::test]
    async fn callsites_of_libraries_are_off() {
        for exporter in [None, Some(("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"))] {
            let source = Source::of([("SENTRY_DSN", "http://key@127.0.0.1:9/1")].into_iter().chain(exporter));
            let config = Config::read(&source).unwrap();
            let traces = traces::provider(&config, resource("test", Environment::Local)).unwrap();
            assert_eq!(traces.is_some(), exporter.is_some());
            let (mut layers, _lines) = logs::layers(&config, None).unwrap();
            let target = config.sentry_dsn.as_ref().unwrap();
            let (_client, reporting) = error_reports::start(target, Environment::Local, "test");
            layers.push(reporting.layer());
            let subscriber = tracing_subscriber::registry()
                .with(traces.as_ref().map(traces::layer))
                .with(layers);
            tracing::subscriber::with_default(subscriber, || {
                let span = tracing::info_span!(target: "quartet_rpc", "rpc");
                assert!(TracedSpan::child_of(span, None).context().is_some());
                assert!(!tracing::enabled!(target: "h2::codec", Level::TRACE));
                assert!(!tracing::enabled!(target: "sqlx::query", Level::DEBUG));
                assert!(!tracing::span_enabled!(target: "h2::proto", Level::TRACE));
                assert!(tracing::enabled!(target: "quartet_rpc", Level::INFO));
                assert!(tracing::enabled!(target: "h2::codec", Level::ERROR));
            });
        }
    }
}
