//! What every request passes on its way in and every reply on its way out, whatever the route.
//!
//! From the outside in: request id → trace → access log and metrics → timing → problem documents →
//! security headers → CORS, all in [`Edged::handle`], which sees every reply, whoever made it: a
//! time-out without CORS headers would look like a network error to a page. Then panic guard →
//! deadline → body limit, in [`Edged::guard`], which may answer in place of the route. Compression
//! stands next to the route.
//!
//! They are calls of functions, not layers of a router: each layer would box its future and clone
//! what is below it, for every request.

mod access_log;
mod client;
mod compression;
mod cors;
mod host;
mod incoming;
mod panic_guard;
mod security;
mod timeout;
mod timing;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::{CONTENT_LENGTH, ORIGIN};
use http_body::Body as _;
use quartet_clock::Clock;
use quartet_config::Environment;
use quartet_telemetry::{TraceContext, TracedSpan};
use tower::Service;
use tracing::Instrument;

pub use access_log::RouteTemplate;

use crate::call::{ClientAddress, Deadline, DeadlineRequested, drop_body};
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
    /// The bound of the method that a request leads to, where it has one of its own.
    own_limit: OwnLimit,
}

/// The bound on the body of a method and path, in bytes, where it is another than the general one.
pub type OwnLimit = Arc<dyn Fn(&Method, &str) -> Option<usize> + Send + Sync>;

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
            own_limit: Arc::new(|_, _| None),
        }
    }

    /// The same, where some methods have a bound of their own.
    #[must_use]
    pub fn with_limits(self, own_limit: OwnLimit) -> Self {
        Self { own_limit, ..self }
    }

    /// The bound on the body of this request. Most announce one that is below any.
    fn limit(&self, request: &Request) -> usize {
        let announced = request.headers().get(CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if request.body().is_end_stream() || announced.is_some_and(|length| length <= self.body_limit) {
            return self.body_limit;
        }
        (self.own_limit)(request.method(), request.uri().path()).unwrap_or(self.body_limit)
    }

    /// Puts the edge around `inner`.
    pub fn around<H: Handler>(self, inner: H) -> Edged<H> {
        Edged { edge: self, inner }
    }
}

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The answer to a request.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl Handler for Router {
    async fn handle(&self, request: Request) -> Response {
        self.clone().call(request).await.unwrap_or_else(|never| match never {})
    }
}

/// The handler as a service.
pub(crate) fn router(handler: Arc<impl Handler>) -> Router {
    Router::new().fallback(async move |request: Request| handler.handle(request).await)
}

/// What answers requests, with the edge around it.
pub struct Edged<H> {
    edge: Edge,
    inner: H,
}

impl<H: Handler> Handler for Edged<H> {
    /// Observes what comes in, and finishes what goes out.
    async fn handle(&self, mut request: Request) -> Response {
        let edge = &self.edge;
        let started = Instant::now();
        let host = host::check(&request);
        host::name(&mut request);
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

        let response = match (host, edge.cors.preflight(&request)) {
            (Err(problem), _) => problem.into_response(),
            (_, Some(response)) => response,
            _ => pin!(self.guard(request)).instrument(traced_span.span().clone()).await,
        };

        let mut response = render::finish(response, &context);
        if context.method == Method::HEAD && !response.body().is_end_stream() {
            drop_body(&mut response);
        }
        let headers = response.headers_mut();
        security::set(headers, edge.hsts);
        edge.cors.set(origin.as_ref(), headers);
        request_id::echo(headers, &context.request_id);
        timing::set(headers, started.elapsed());
        line.log_when_sent(response, edge.slow)
    }
}

impl<H: Handler> Edged<H> {
    /// Bounds what a request may cost.
    async fn guard(&self, mut request: Request) -> Response {
        let edge = &self.edge;
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
        let limit = edge.limit(&request);
        let (request, body) = match incoming::apply(request, limit, until) {
            Ok(bounded) => bounded,
            Err(problem) => return problem.into_response(),
        };
        // Pinned where it is made: a future that is moved is copied, and this one holds all of the call.
        let route = pin!(self.route(request));
        let mut work = pin!(panic_guard::run(route));
        let response = match requested {
            None => work.as_mut().await,
            Some(_) => match tokio::time::timeout_at(until, work.as_mut()).await {
                Ok(response) => response,
                Err(_) => return timeout::exceeded().into_response(),
            },
        };
        // Whatever the route made of a body that was cut short, this is the reason.
        body.problem(limit).map_or(response, IntoResponse::into_response)
    }

    async fn route(&self, request: Request) -> Response {
        let accepted = compression::Accepted::of(request.headers());
        accepted.compress(self.inner.handle(request).await).await
    }
}

#[cfg(test)]
mod tests;
