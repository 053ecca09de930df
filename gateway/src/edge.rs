//! What every request passes on its way in and every reply on its way out, whatever the route.
//!
//! From the outside in: request id → trace → access log and metrics → timing → problem documents →
//! security headers → CORS, all in [`observe`], which sees every reply, whoever made it: a time-out
//! without CORS headers would look like a network error to a page. Then panic guard → deadline →
//! body limit, in [`guard`], which may answer in place of the route. Compression stands next to the
//! route.

mod access_log;
mod client;
mod compression;
mod cors;
mod incoming;
mod panic_guard;
mod security;
mod timeout;
mod timing;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{HOST, ORIGIN};
use quartet_clock::Clock;
use quartet_config::Environment;
use quartet_telemetry::{TraceContext, TracedSpan};
use tower::ServiceBuilder;
use tracing::Instrument;

pub use access_log::RouteTemplate;

use crate::call::{ClientAddress, Deadline, DeadlineRequested};
use crate::config::{Config, Network};
use crate::l10n::Language;
use crate::problem::render;
use crate::request_id;

/// The peer of the connection; the server adds it to every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The edge's settings, ready for use.
#[derive(Clone)]
pub struct Edge {
    clock: Clock,
    cors: cors::Cors,
    trusted_proxies: Vec<Network>,
    /// A proxy that is not trusted is warned of once.
    untrusted_proxy: Arc<Once>,
    slow: Duration,
    hsts: bool,
    timeout: Duration,
    timeout_max: Duration,
    body_limit: usize,
}

impl Edge {
    /// An edge of these settings.
    pub fn new(config: &Config, clock: Clock) -> Self {
        Self {
            clock,
            cors: cors::Cors::of(config),
            trusted_proxies: config.trusted_proxies.0.clone(),
            untrusted_proxy: Arc::new(Once::new()),
            slow: config.slow_request.0,
            hsts: config.environment != Environment::Local,
            timeout: config.request_timeout.0,
            timeout_max: config.request_timeout_max.0,
            body_limit: config.max_body_size.0,
        }
    }

    /// Puts the edge around `routes`.
    pub fn around(self, routes: Router) -> Router {
        let edge = Arc::new(self);
        let layers = ServiceBuilder::new()
            .layer(middleware::from_fn_with_state(edge.clone(), observe))
            .layer(middleware::from_fn_with_state(edge, guard))
            .layer(compression::layer());
        // As the fallback of an empty router, so that the layers see what no route takes as well.
        Router::new().fallback_service(ServiceBuilder::new().layer(layers).service(routes))
    }
}

/// Observes what comes in, and finishes what goes out.
async fn observe(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    name_host(&mut request);
    let request_id = request_id::take(request.headers_mut(), &edge.clock);
    let peer = request
        .extensions()
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let client = client::address(peer, request.headers(), &edge.trusted_proxies);
    if client::is_untrusted_proxy(peer, request.headers(), &edge.trusted_proxies) {
        edge.untrusted_proxy.call_once(|| {
            tracing::warn!(
                %peer,
                "X-Forwarded-For is ignored: the peer is not in TRUSTED_PROXIES, and all its clients count as one"
            );
        });
    }
    request.extensions_mut().insert(ClientAddress(client));
    let span = tracing::info_span!("request", otel.kind = "server", request_id);
    let traced_span = TracedSpan::child_of(span, TraceContext::of(request.headers()).as_ref());
    // It stands in the request's headers from here on; the call to the service takes it from there.
    if let Some(context) = traced_span.context() {
        context.write_to(request.headers_mut());
    }
    let line = access_log::Line::of(&request, client, &request_id, started, traced_span.clone());
    let origin = request.headers().get(ORIGIN).cloned();
    let context = render::Context {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        language: Language::preferred(request.headers()),
        request_id,
    };

    let response = match edge.cors.preflight(&request) {
        Some(response) => response,
        None => next.run(request).instrument(traced_span.span().clone()).await,
    };

    let mut response = render::finish(response, &context);
    let headers = response.headers_mut();
    security::set(headers, edge.hsts);
    edge.cors.set(origin.as_ref(), headers);
    request_id::echo(headers, &context.request_id);
    timing::set(headers, started.elapsed());
    line.log_when_sent(response, edge.slow)
}

/// HTTP/2 names the host in the URI alone; the rest of the program reads it from `Host`.
fn name_host(request: &mut Request) {
    let authority = request
        .uri()
        .authority()
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().entry(HOST).or_insert(authority);
    }
}

/// Bounds what a request may cost.
async fn guard(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let requested = match timeout::requested(request.headers()) {
        Ok(requested) => requested.map(|timeout| timeout.min(edge.timeout_max)),
        Err(problem) => return problem.into_response(),
    };
    let now = tokio::time::Instant::now();
    request
        .extensions_mut()
        .insert(Deadline(now + requested.unwrap_or(edge.timeout)));
    if requested.is_some() {
        request.extensions_mut().insert(DeadlineRequested);
    }
    // A method may declare a time of its own, and a stream may stay open: only a time that the
    // client itself has set cuts them off here. A body has to come in within the longest time there
    // is.
    let until = now + requested.unwrap_or(edge.timeout_max);
    let (request, body) = match incoming::apply(request, edge.body_limit, until) {
        Ok(bounded) => bounded,
        Err(problem) => return problem.into_response(),
    };
    let work = panic_guard::run(next.run(request));
    let response = match requested {
        None => work.await,
        Some(_) => match tokio::time::timeout_at(until, work).await {
            Ok(response) => response,
            Err(_) => return timeout::exceeded().into_response(),
        },
    };
    // Whatever the route made of a body that was cut short, this is the reason.
    body.problem(edge.body_limit)
        .map_or(response, IntoResponse::into_response)
}

#[cfg(test)]
mod tests;
