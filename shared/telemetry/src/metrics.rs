//! The names of the metrics, and the address that serves them to Prometheus.
//!
//! Names follow the semantic conventions of OpenTelemetry where those have one, in the spelling of
//! Prometheus. The values of a label are bounded: routes are patterns, methods and kinds those of
//! the contracts, queues those that are declared; never an id.

pub(crate) mod export;
pub mod process;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::layers::FanoutBuilder;
use tokio::net::{TcpListener, TcpStream};

/// How long the edge took for a request, its reply included, in seconds. Labels: method, route,
/// status.
pub const HTTP_SERVER_REQUEST_DURATION: &str = "http_server_request_duration_seconds";
/// How long a service took for a call, its stream included, in seconds. Labels: method, status.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// Further attempts at a call to another service. Labels: upstream, outcome (answered, unavailable,
/// broken).
pub const RPC_CLIENT_RETRIES: &str = "rpc_client_retries_total";
/// Further attempts that were not made because the budget was used up. Label: upstream.
pub const RPC_CLIENT_RETRIES_WITHHELD: &str = "rpc_client_retries_withheld_total";
/// Calls that were refused because too many were in flight. Labels: upstream, kind (call, stream).
pub const RPC_CLIENT_SHED_CALLS: &str = "rpc_client_shed_calls_total";
/// Calls and streams in flight. Labels: upstream, kind (call, stream).
pub const RPC_CLIENT_CALLS_IN_FLIGHT: &str = "rpc_client_calls_in_flight";
/// Instances that are connected. Label: upstream.
pub const RPC_CLIENT_CONNECTED_INSTANCES: &str = "rpc_client_connected_instances";
/// Instances that get no calls because they failed. Label: upstream.
pub const RPC_CLIENT_EJECTED_INSTANCES: &str = "rpc_client_ejected_instances";
/// Whether calls reach a backend: 0 they do, 1 single calls probe it, 2 they fail at once. Label:
/// upstream.
pub const RPC_CLIENT_BREAKER_STATE: &str = "rpc_client_breaker_state";
/// How long a handler took for a message, in seconds. Labels: kind, outcome (done, retry, dead).
pub const MESSAGING_PROCESS_DURATION: &str = "messaging_process_duration_seconds";
/// Messages that the broker has confirmed. Label: service.
pub const MESSAGING_CLIENT_SENT_MESSAGES: &str = "messaging_client_sent_messages_total";
/// Attempts to send a message that failed and are retried. Labels: service, reason.
pub const OUTBOX_FAILED_ATTEMPTS: &str = "outbox_failed_attempts_total";
/// Messages in the outbox that are not sent. Label: service.
pub const OUTBOX_UNSENT_MESSAGES: &str = "outbox_unsent_messages";
/// Age of the oldest of those, in seconds. Label: service.
pub const OUTBOX_OLDEST_UNSENT_AGE: &str = "outbox_oldest_unsent_age_seconds";
/// Messages in a queue. Labels: queue, state (ready, delayed, dead).
pub const MESSAGING_QUEUE_MESSAGES: &str = "messaging_queue_messages";
/// Consumers of a queue. Label: queue.
pub const MESSAGING_QUEUE_CONSUMERS: &str = "messaging_queue_consumers";
/// How long an attempt at a job took, in seconds. Labels: kind, outcome.
pub const JOB_ATTEMPT_DURATION: &str = "job_attempt_duration_seconds";
/// Jobs that have not ended well. Labels: kind, status.
pub const JOBS: &str = "jobs";
/// Jobs that wait for a worker. Label: queue.
pub const JOB_QUEUE_DEPTH: &str = "job_queue_depth";
/// How long the oldest of those has been due, in seconds. Label: queue.
pub const JOB_QUEUE_OLDEST_AGE: &str = "job_queue_oldest_age_seconds";

/// Attempts to sign in with a password. Label: outcome (ok, wrong_password, disabled, throttled, failed).
pub const AUTH_SIGN_INS: &str = "auth_sign_ins_total";
/// Refresh tokens that came a second time, so that their session was ended.
pub const AUTH_REFRESH_REUSES: &str = "auth_refresh_reuses_total";
/// Lookups of new passwords among breached ones. Label: outcome (breached, unknown, away).
pub const AUTH_BREACH_CHECKS: &str = "auth_breach_checks_total";
/// Connections of a pool. Labels: db_client_connection_pool_name, db_client_connection_state (idle, used).
pub const DB_CLIENT_CONNECTION_COUNT: &str = "db_client_connection_count";
/// How many connections a pool may have. Label: db_client_connection_pool_name.
pub const DB_CLIENT_CONNECTION_MAX: &str = "db_client_connection_max";

/// Whether Redis answers: 1, or 0 while it is done without.
pub const REDIS_UP: &str = "redis_up";
/// Commands to Redis that failed or took too long.
pub const REDIS_FAILURES: &str = "redis_failures_total";
/// Calls that a limit refused. Label: limit.
pub const RATE_LIMITED: &str = "rate_limited_total";
/// Look-ups in the cache of replies. Labels: route, outcome (hit, not_modified, miss, shared, off).
pub const CACHE_LOOKUPS: &str = "cache_lookups_total";
/// Log lines that were lost because whoever reads standard error was too slow.
pub const LOG_LINES_LOST: &str = "log_lines_lost_total";

/// The buckets that the semantic conventions advise for requests, in seconds.
const REQUESTS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Jobs take longer: up to the twenty minutes that a handler may have.
const JOBS_BUCKETS: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_200.0];
/// How often recorded values are drained into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// Bound on one scrape, from its connection to the end of the answer.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

static ON: AtomicBool = AtomicBool::new(false);

/// Whether metrics are served, so that values that are costly to compute are worth it.
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Records metrics from now on: serves them at `address`, and has `exporter` send them.
pub(crate) fn start(address: Option<SocketAddr>, exporter: Option<export::Recorder>) -> Result<(), String> {
    let served = address.map(serve).transpose()?;
    let installed = match (served, exporter) {
        (None, None) => return Ok(()),
        (Some(served), None) => metrics::set_global_recorder(served).map_err(|error| error.to_string()),
        (None, Some(exporter)) => metrics::set_global_recorder(exporter).map_err(|error| error.to_string()),
        (Some(served), Some(exporter)) => {
            let both = FanoutBuilder::default().add_recorder(served).add_recorder(exporter);
            metrics::set_global_recorder(both.build()).map_err(|error| error.to_string())
        }
    };
    installed?;
    ON.store(true, Relaxed);
    describe();
    tokio::spawn(process::record(tokio::runtime::Handle::current()));
    Ok(())
}

/// Serves what the recorder records at `address`.
fn serve(address: SocketAddr) -> Result<PrometheusRecorder, String> {
    let cannot = |error: std::io::Error| format!("cannot listen on {address}: {error}");
    let listener = std::net::TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let listener = TcpListener::from_std(listener).map_err(cannot)?;
    let recorder = recorder()?;
    tracing::info!(%address, "metrics are served at /metrics");
    tokio::spawn(upkeep(recorder.handle()));
    tokio::spawn(accept(listener, recorder.handle()));
    Ok(recorder)
}

/// The histograms.
const HISTOGRAMS: [&str; 4] = [
    HTTP_SERVER_REQUEST_DURATION,
    RPC_SERVER_CALL_DURATION,
    MESSAGING_PROCESS_DURATION,
    JOB_ATTEMPT_DURATION,
];

/// The buckets of a histogram, in seconds; `None` for anything else.
fn buckets(name: &str) -> Option<&'static [f64]> {
    match name {
        HTTP_SERVER_REQUEST_DURATION | RPC_SERVER_CALL_DURATION | MESSAGING_PROCESS_DURATION => Some(&REQUESTS),
        JOB_ATTEMPT_DURATION => Some(&JOBS_BUCKETS),
        _ => None,
    }
}

fn recorder() -> Result<PrometheusRecorder, String> {
    let mut builder = PrometheusBuilder::new();
    for name in HISTOGRAMS {
        let bounds = buckets(name).unwrap_or_default();
        builder = builder
            .set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
            .map_err(|error| error.to_string())?;
    }
    Ok(builder.build_recorder())
}

fn describe() {
    describe_histogram!(
        HTTP_SERVER_REQUEST_DURATION,
        "How long the edge took for a request, its reply included."
    );
    describe_histogram!(
        RPC_SERVER_CALL_DURATION,
        "How long a service took for a call, its stream included."
    );
    describe_counter!(RPC_CLIENT_RETRIES, "Further attempts at a call to another service.");
    describe_counter!(
        RPC_CLIENT_RETRIES_WITHHELD,
        "Further attempts that were not made because the budget was used up."
    );
    describe_counter!(
        RPC_CLIENT_SHED_CALLS,
        "Calls that were refused because too many were in flight."
    );
    describe_gauge!(RPC_CLIENT_CALLS_IN_FLIGHT, "Calls and streams in flight.");
    describe_gauge!(RPC_CLIENT_CONNECTED_INSTANCES, "Instances that are connected.");
    describe_gauge!(
        RPC_CLIENT_EJECTED_INSTANCES,
        "Instances that get no calls because they failed."
    );
    describe_gauge!(
        RPC_CLIENT_BREAKER_STATE,
        "Whether calls reach a backend: 0 they do, 1 single calls probe it, 2 they fail at once."
    );
    describe_histogram!(MESSAGING_PROCESS_DURATION, "How long a handler took for a message.");
    describe_counter!(
        MESSAGING_CLIENT_SENT_MESSAGES,
        "Messages that the broker has confirmed."
    );
    describe_counter!(
        OUTBOX_FAILED_ATTEMPTS,
        "Attempts to send a message that failed and are retried."
    );
    describe_gauge!(OUTBOX_UNSENT_MESSAGES, "Messages in the outbox that are not sent.");
    describe_gauge!(
        OUTBOX_OLDEST_UNSENT_AGE,
        "Age of the oldest message in the outbox that is not sent."
    );
    describe_gauge!(
        MESSAGING_QUEUE_MESSAGES,
        "Messages in a queue: ready, delayed until their retry, or dead."
    );
    describe_gauge!(MESSAGING_QUEUE_CONSUMERS, "Consumers of a queue.");
    describe_histogram!(JOB_ATTEMPT_DURATION, "How long an attempt at a job took.");
    describe_counter!(AUTH_SIGN_INS, "Attempts to sign in with a password.");
    describe_counter!(AUTH_BREACH_CHECKS, "Lookups of new passwords among breached ones.");
    describe_counter!(
        AUTH_REFRESH_REUSES,
        "Refresh tokens that came a second time, so that their session was ended."
    );
    describe_gauge!(DB_CLIENT_CONNECTION_COUNT, "Connections of a pool.");
    describe_gauge!(DB_CLIENT_CONNECTION_MAX, "How many connections a pool may have.");
    describe_gauge!(REDIS_UP, "Whether Redis answers.");
    describe_counter!(REDIS_FAILURES, "Commands to Redis that failed or took too long.");
    describe_counter!(RATE_LIMITED, "Calls that a limit refused.");
    describe_counter!(CACHE_LOOKUPS, "Look-ups in the cache of replies.");
    describe_counter!(
        LOG_LINES_LOST,
        "Log lines that were lost because whoever reads standard error was too slow."
    );
    describe_gauge!(JOBS, "Jobs that are scheduled, queued, running or dead.");
    describe_gauge!(JOB_QUEUE_DEPTH, "Jobs that wait for a worker.");
    describe_gauge!(
        JOB_QUEUE_OLDEST_AGE,
        "How long the oldest job that waits for a worker has been due."
    );
}

async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

async fn accept(listener: TcpListener, handle: PrometheusHandle) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(answer(stream, handle.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the metrics address could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, handle: PrometheusHandle) {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(reply(&request, &handle))));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SCRAPE_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A scraper that hangs up scrapes again.
    let _ = tokio::time::timeout(SCRAPE_TIMEOUT, served).await;
}

fn reply(request: &Request<Incoming>, handle: &PrometheusHandle) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, handle.render()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    *response.status_mut() = status;
    let text_format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text_format);
    *response.body_mut() = Full::new(Bytes::from(text));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_are_served_in_the_format_of_prometheus() {
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        start(Some(address), None).unwrap();
        metrics::histogram!(JOB_ATTEMPT_DURATION, "kind" => "export_todos", "outcome" => "succeeded").record(0.2);
        metrics::gauge!(OUTBOX_UNSENT_MESSAGES, "service" => "todos").set(3);
        let answer = get(address, "/metrics").await;
        for line in [
            "HTTP/1.1 200 OK",
            "# TYPE job_attempt_duration_seconds histogram",
            r#"job_attempt_duration_seconds_bucket{kind="export_todos",outcome="succeeded",le="0.1"} 0"#,
            r#"job_attempt_duration_seconds_bucket{kind="export_todos",outcome="succeeded",le="0.5"} 1"#,
            r#"outbox_unsent_messages{service="todos"} 3"#,
        ] {
            assert!(
                answer.lines().any(|written| written.trim_end() == line),
                "{line}\n{answer}"
            );
        }
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
        assert!(start(Some(address), None).is_err(), "the address is in use");
    }
}
