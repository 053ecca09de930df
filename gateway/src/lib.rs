//! REST/JSON in front of gRPC, from the protos' annotations alone: this crate reads descriptors,
//! and imports no service.
//!
//! In reading order: [`config`] and [`backends`] decide what is served and by whom; every request
//! passes [`edge`]; [`routes`] finds the RPC and [`call`] makes it, with [`transcode`] between JSON
//! and protobuf; [`ws`] keeps a connection open for what happens meanwhile; [`open_streams`] counts
//! what each user keeps open; [`origin`] decides which pages may use cookies; [`problem`] and
//! [`l10n`] are what a client reads when something fails; [`docs`] describes the interface, from
//! the [`comments`] of the protos; [`pages`] are for people; [`health`] reports whether it can serve,
//! [`server`] puts it on a port, and [`start`] is for the process that is the gateway alone.

pub mod backends;
#[doc(hidden)]
pub mod bench;
pub mod call;
pub(crate) mod comments;
pub mod config;
pub mod docs;
pub mod edge;
mod health;
pub mod l10n;
pub mod open_streams;
pub mod origin;
mod pages;
pub mod problem;
pub mod process;
mod request_id;
pub mod routes;
pub mod server;
pub mod start;
mod transcode;
pub mod ws;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_limits::Limits;
use quartet_proto::{descriptors, options};
use quartet_rpc::token::ServiceTokens;
use quartet_rpc::{Upstream, Verifier};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::Config;

use crate::call::{Passed, Transcoder};
use crate::docs::Docs;
use crate::edge::{Edge, Edged, Handler, OwnLimit, RouteTemplate};
use crate::open_streams::OpenStreams;
use crate::origin::OriginPolicy;
use crate::pages::{Forms, PublicUrl};
use crate::problem::Problem;
use crate::routes::{Binding, Found, Routes};
use crate::server::Draining;
use crate::ws::Sockets;
use crate::ws::rooms::Rooms;

/// Largest message that a service may send.
const MAX_REPLY: usize = 64 << 20;
/// Time between the comments that keep an idle event stream open; proxies give up after a minute.
const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The paths of the gateway itself that have no variables, beside those that methods declare.
const OWN_PATHS: [&str; 8] = [
    "/docs",
    "/redoc",
    "/openapi.json",
    "/asyncapi.json",
    "/health",
    "/livez",
    "/readyz",
    ws::PATH,
];

/// What the gateway needs beside its settings.
pub struct Deps {
    /// The backends, by the name that the proto packages give them, such as `todos`.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Time and ids.
    pub clock: Clock,
    /// Verifies access tokens: whose WebSocket it is, and who sees the docs pages where they are
    /// for superusers only. Without it there are no WebSockets.
    pub verifier: Option<Verifier>,
    /// How often callers may call.
    pub limits: Limits,
    /// Where replies are cached.
    pub cache: Cache,
    /// The service tokens of the gateway: only with them do services trust what it forwards of a
    /// client.
    pub tokens: Option<ServiceTokens>,
    /// The rooms of WebSockets.
    pub rooms: Rooms,
    /// What links in mails begin with: `PUBLIC_URL`.
    pub public_url: String,
}

/// Why the gateway cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that do not go together.
    #[error(transparent)]
    Config(#[from] quartet_config::Error),
    /// HTTP rules that cannot be served.
    #[error(transparent)]
    Routes(#[from] routes::RouteError),
    /// A service of the contracts has no upstream.
    #[error("no upstream holds {0}")]
    NoUpstream(String),
    /// A method's options cannot be served.
    #[error(transparent)]
    Call(#[from] call::StartError),
    /// The path of a method is that of a page of the gateway, which nobody would see.
    #[error("a method has the path {0}, which is the gateway's own")]
    OwnPath(String),
}

/// The gateway, built and not yet on a port.
pub struct Gateway {
    handler: Arc<Edged<Site>>,
    draining: Draining,
    delay: Duration,
    closing: CancellationToken,
    sockets: TaskTracker,
    rooms: Rooms,
}

/// Builds the gateway: compiles the routes and writes the API's description. Binds no port and
/// makes no call.
pub fn build(config: &Config, deps: Deps) -> Result<Gateway, Error> {
    config.check()?;
    let pool = descriptors::pool();
    let backends = backends::by_service(pool, &deps.upstreams).map_err(Error::NoUpstream)?;
    let routes = Arc::new(Routes::compile(pool)?);
    let edge = Edge::new(config, deps.clock.clone()).with_limits(own_limits(&routes));
    let closing = CancellationToken::new();
    let streams = OpenStreams::at_most(config.streams_per_user);
    let transcoder = Arc::new(Transcoder::new(
        routes.clone(),
        &backends,
        calls(config, &deps, streams.clone(), closing.clone()),
    )?);

    let sockets = TaskTracker::new();
    let websocket = deps.verifier.clone().map(|verifier| {
        let sockets = Sockets {
            verifier,
            transcoder: transcoder.clone(),
            rooms: deps.rooms.clone(),
            limits: ws::limits::Limits::of(config),
            origins: OriginPolicy::of(config),
            clock: deps.clock,
            closing: closing.clone(),
            calls: deps.limits.clone(),
            streams,
            open: sockets.clone(),
        };
        ws::routes(sockets)
    });
    let draining = Draining::default();
    let health =
        health::Health::new(deps.upstreams, draining.clone(), config.public_version()).verifying(deps.verifier.clone());
    let public_url = PublicUrl::new(&deps.public_url);
    let forms = Forms::of(transcoder.routes().bindings())?;
    // Shared: the handler of the fallback is cloned with each request.
    let own: Arc<[String]> = forms.paths().chain(OWN_PATHS).map(str::to_owned).collect();
    none_is_hidden(&routes, &own)?;
    let forms = forms.routes(&config.app_name, &public_url, &transcoder);
    let docs = Docs::new(config, pool, &transcoder, deps.verifier, public_url);
    let api = transcoder.clone();
    let own_routes = Router::new()
        .merge(forms)
        .route("/problems/{code}", get(problem::page::show))
        .merge(health.routes())
        .merge(docs.routes(transcoder.clone()))
        .merge(websocket.unwrap_or_default())
        .fallback(
            async move |request: Request| match without_slash(&api, &own, request.uri()) {
                Some(path) => redirect(&path),
                None => api.call(request).await.unwrap_or_else(IntoResponse::into_response),
            },
        );
    let site = Site {
        api: transcoder,
        own_routes,
    };
    Ok(Gateway {
        handler: Arc::new(edge.around(site)),
        draining,
        delay: config.shutdown_delay.0,
        closing,
        sockets,
        rooms: deps.rooms,
    })
}

/// How calls are made under these settings.
fn calls(config: &Config, deps: &Deps, streams: OpenStreams, closing: CancellationToken) -> call::Config {
    call::Config {
        timeout: config.request_timeout.0,
        max_reply_bytes: MAX_REPLY,
        cookies: config.cookies(),
        keep_alive: STREAM_KEEP_ALIVE,
        origins: OriginPolicy::of(config),
        verifier: deps.verifier.clone(),
        limits: deps.limits.clone(),
        cache: deps.cache.clone(),
        streams,
        client_max_age: config.client_cache_max_age.0,
        tokens: deps.tokens.clone(),
        // The settings are checked.
        passed: Passed::of(&config.pass_request_headers.0, &config.pass_reply_metadata.0).unwrap_or_default(),
        shown_paths: docs::shown_paths(config.environment).map(str::to_owned).collect(),
        closing,
    }
}

/// The bounds on bodies that methods declare.
fn own_limits(routes: &Arc<Routes>) -> OwnLimit {
    let limit = |binding: &Binding| match options::edge(&binding.method).max_body_mib {
        0 => None,
        mebibytes => Some((mebibytes as usize) << 20),
    };
    let limits: Vec<Option<usize>> = routes.bindings().map(limit).collect();
    let routes = routes.clone();
    Arc::new(move |method, path| match routes.find(method, path) {
        Found::Match(found) => limits.get(found.index).copied().flatten(),
        Found::MethodNotAllowed { .. } | Found::NotFound => None,
    })
}

/// Refuses routes that hide a page of the gateway: methods come first.
fn none_is_hidden(routes: &Routes, own: &[String]) -> Result<(), Error> {
    match own.iter().find(|path| is_route(routes, path)) {
        Some(hidden) => Err(Error::OwnPath(hidden.clone())),
        None => Ok(()),
    }
}

/// Whether a method has this path.
fn is_route(routes: &Routes, path: &str) -> bool {
    !routes.allowed(path).is_empty()
}

/// The path and query without the slash at the end, where they lead somewhere only without it.
fn without_slash(transcoder: &Transcoder, own: &[String], uri: &Uri) -> Option<String> {
    let routes = transcoder.routes();
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    if is_route(routes, uri.path()) || !(is_route(routes, path) || own.iter().any(|own| own == path)) {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}"));
    Some(format!("{path}{}", query.unwrap_or_default()))
}

/// 308: method and body stay as they are.
fn redirect(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Everything that is served: the API, and the gateway's own pages beside it.
struct Site {
    api: Arc<Transcoder>,
    own_routes: Router,
}

impl Handler for Site {
    async fn handle(&self, request: Request) -> Response {
        let is_options = request.method() == Method::OPTIONS;
        if is_options && request.uri().path() == "*" {
            // The server as a whole.
            let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            return (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response();
        }
        let response = match self.api.try_call(request).await {
            Ok(outcome) => outcome.unwrap_or_else(IntoResponse::into_response),
            Err(request) => self.own_routes.handle(request).await,
        };
        match is_options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
            true => options_of(response),
            false => response,
        }
    }
}

/// The answer to `OPTIONS`, with the methods of the path (RFC 9110 §9.3.7), out of the one that
/// refuses it.
fn options_of(mut refusal: Response) -> Response {
    let problem = refusal.extensions_mut().remove::<Problem>();
    let of_problem = problem.iter().flat_map(|problem| &problem.headers);
    let allow = of_problem
        .filter(|(name, _)| *name == header::ALLOW)
        .map(|(_, value)| value)
        .chain(refusal.headers().get(header::ALLOW))
        .find_map(|value| value.to_str().ok())
        .map_or("OPTIONS".to_owned(), |allow| {
            format!("{}, OPTIONS", allow.replace(',', ", ").replace(",  ", ", "))
        });
    let mut answer = StatusCode::NO_CONTENT.into_response();
    if let Some(template) = refusal.extensions_mut().remove::<RouteTemplate>() {
        answer.extensions_mut().insert(template);
    }
    let allow = HeaderValue::try_from(allow).ok();
    answer.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    answer
}

impl Gateway {
    /// What answers the requests, for embedding.
    pub fn handler(&self) -> Arc<impl Handler + use<>> {
        self.handler.clone()
    }

    /// The same as a service, for tests.
    pub fn router(&self) -> Router {
        edge::router(self.handler.clone())
    }

    /// Serves on `listener` until `stop`; then `/readyz` answers 503, serving goes on for
    /// `SHUTDOWN_DELAY`, and it ends once the requests in flight have ended, at the latest after
    /// `grace`.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken, grace: Duration) {
        let limits = server::Limits {
            head: server::HEAD_TIMEOUT,
            delay: self.delay,
            timeout: grace,
            closing: self.closing,
            sockets: self.sockets,
        };
        let end = CancellationToken::new();
        let _end = end.clone().drop_guard();
        // Rooms reach the other instances until the last connection here has ended.
        tokio::spawn(self.rooms.run(end));
        server::serve(self.handler, listener, stop, self.draining, limits).await;
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_on_the_path_of_a_page_stops_the_start() {
        let own = OWN_PATHS.map(str::to_owned);
        let with_path = |path: &str| {
            let rule = format!("option (google.api.http) = {{ get: \"{path}\" }};");
            Routes::compile(&testing::compile(&PROTO.replace("RULE", &rule)).unwrap()).unwrap()
        };
        none_is_hidden(&with_path("/api/v1/docs"), &own).unwrap();
        let error = none_is_hidden(&with_path("/docs"), &own).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a method has the path /docs, which is the gateway's own"
        );
    }

    const PROTO: &str = r#"
        syntax = "proto3";
        package test.v1;
        import "google/api/annotations.proto";
        message Empty {}
        service TestService {
          rpc Test(Empty) returns (Empty) { RULE }
        }
    "#;
}
