//! REST/JSON in front of gRPC, from the protos' annotations alone: this crate reads descriptors,
//! and imports no service.
//!
//! In reading order: [`config`] and [`backends`] decide what is served and by whom; every request
//! passes [`edge`]; [`routes`] finds the RPC and [`call`] makes it, with [`transcode`] between JSON
//! and protobuf; [`ws`] keeps a connection open for what happens meanwhile; [`origin`] decides
//! which pages may use cookies; [`problem`] and [`l10n`] are what a client reads when something
//! fails; [`docs`] describes the interface, from the [`comments`] of the protos; [`health`] reports
//! whether it can serve, [`server`] puts it on a port, and [`start`] is for the process that is the
//! gateway alone.

pub mod backends;
pub mod call;
pub(crate) mod comments;
pub mod config;
pub mod docs;
pub mod edge;
mod health;
pub mod l10n;
pub mod origin;
pub mod problem;
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
use quartet_clock::Clock;
use quartet_proto::descriptors;
use quartet_rpc::token::ServiceTokens;
use quartet_rpc::{Upstream, Verifier};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::Config;

use crate::call::Transcoder;
use crate::docs::Docs;
use crate::edge::{Edge, RouteTemplate};
use crate::origin::OriginPolicy;
use crate::routes::{Binding, Found, Routes};
use crate::server::Draining;
use crate::ws::Sockets;
use crate::ws::limits::Limits;
use crate::ws::rooms::Rooms;

/// Largest message that a service may send.
const MAX_REPLY: usize = 64 << 20;
/// Time between the comments that keep an idle event stream open; proxies give up after a minute.
const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What the gateway needs beside its settings.
pub struct Deps {
    /// The backends, by the name that the proto packages give them, such as `todos`.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Time and ids.
    pub clock: Clock,
    /// Verifies access tokens: whose WebSocket it is, and who sees the docs pages where they are
    /// for superusers only. Without it there are no WebSockets.
    pub verifier: Option<Verifier>,
    /// The service tokens of the gateway: only with them do services trust what it forwards of a
    /// client.
    pub tokens: Option<ServiceTokens>,
    /// The rooms of WebSockets.
    pub rooms: Rooms,
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
}

/// The gateway, built and not yet on a port.
pub struct Gateway {
    router: Router,
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
    let edge = Edge::new(config, deps.clock.clone());
    let closing = CancellationToken::new();
    let transcoder = Arc::new(Transcoder::new(
        routes.clone(),
        &backends,
        calls(config, deps.tokens, closing.clone()),
    )?);

    let sockets = TaskTracker::new();
    let websocket = deps.verifier.clone().map(|verifier| {
        let sockets = Sockets {
            verifier,
            transcoder: transcoder.clone(),
            rooms: deps.rooms.clone(),
            limits: Limits::of(config),
            origins: OriginPolicy::of(config),
            clock: deps.clock,
            closing: closing.clone(),
            open: sockets.clone(),
        };
        ws::routes(sockets)
    });
    let draining = Draining::default();
    let health = health::Health::new(deps.upstreams, draining.clone(), config.version());
    let docs = Docs::new(config, pool, &transcoder, deps.verifier);
    let router = Router::new()
        .route("/problems/{code}", get(problem::page::show))
        .merge(health.routes())
        .merge(docs.routes(transcoder.clone()))
        .merge(websocket.unwrap_or_default())
        .fallback(async move |request: Request| call(&transcoder, request).await);
    Ok(Gateway {
        router: edge.around(router),
        draining,
        delay: config.shutdown_delay.0,
        closing,
        sockets,
        rooms: deps.rooms,
    })
}

/// How calls are made under these settings.
fn calls(config: &Config, tokens: Option<ServiceTokens>, closing: CancellationToken) -> call::Config {
    call::Config {
        timeout: config.request_timeout.0,
        max_reply_bytes: MAX_REPLY,
        secure_cookies: config.secure_cookies(),
        keep_alive: STREAM_KEEP_ALIVE,
        origins: OriginPolicy::of(config),
        tokens,
        closing,
    }
}

/// Calls the RPC that the request's path leads to; the reply carries the route's template.
async fn call(transcoder: &Transcoder, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = transcoder
        .call(request)
        .await
        .unwrap_or_else(IntoResponse::into_response);
    // A failure carries no binding; finding it again costs little, and failures are few.
    let binding =
        response
            .extensions_mut()
            .remove::<Arc<Binding>>()
            .or_else(|| match transcoder.routes().find(&method, &path) {
                Found::Match(found) => Some(found.binding),
                Found::MethodNotAllowed { .. } | Found::NotFound => None,
            });
    if let Some(binding) = binding {
        response
            .extensions_mut()
            .insert(RouteTemplate(binding.template.clone()));
    }
    response
}

impl Gateway {
    /// The gateway as a service, for tests and for embedding.
    pub fn router(&self) -> Router {
        self.router.clone()
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
        server::serve(self.router, listener, stop, self.draining, limits).await;
    }
}

#[cfg(test)]
mod testing;
