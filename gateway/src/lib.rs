//! REST/JSON in front of gRPC, from the protos' annotations alone: this crate knows descriptors, and no service.
//!
//! In reading order: [`config`] and [`backends`] say what to serve and who is behind it; [`edge`] is what every request passes; [`routes`]
//! finds the RPC; [`problem`] and [`l10n`] are what a client reads when something fails; [`docs`] describes the interface, [`health`] tells
//! whether it can serve, and [`server`] puts it on a port.

pub mod backends;
pub mod call;
pub mod config;
pub mod docs;
pub mod edge;
mod health;
pub mod l10n;
pub mod problem;
pub mod routes;
pub mod server;
mod transcode;

use std::collections::BTreeMap;

use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use quartet_clock::Clock;
use quartet_proto::descriptors;
use quartet_proto::options::Reason;
use quartet_rpc::{Upstream, Verifier};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;

use crate::edge::Edge;
use crate::problem::Problem;
use crate::server::{Drain, Draining};

/// What the gateway needs beside its settings.
pub struct Deps {
    /// The backends, by the name that the proto packages give them: `auth`, `users`, `todos`.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Time and ids.
    pub clock: Clock,
    /// Tells who a token speaks for, where the docs pages are for superusers only.
    pub verifier: Verifier,
}

/// Why the gateway cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that do not go together.
    #[error(transparent)]
    Config(#[from] quartet_config::Error),
    /// A service of the contracts has no upstream.
    #[error("no upstream holds {0}")]
    NoUpstream(String),
}

/// The gateway, built and not yet on a port.
pub struct Gateway {
    router: Router,
    draining: Draining,
    drain: Drain,
}

/// Builds the gateway: compiles the routes and writes the API's description. Binds nothing and calls nobody.
pub async fn build(config: Config, deps: Deps) -> Result<Gateway, Error> {
    config.check()?;
    let pool = descriptors::pool();
    let _backends = backends::by_service(pool, &deps.upstreams).map_err(Error::NoUpstream)?;
    let draining = Draining::default();
    let health = health::Health::new(deps.upstreams, draining.clone(), config.version());
    let root = json!({
        "name": config.app_name,
        "version": config.version(),
        "links": {"docs": "/docs", "redoc": "/redoc", "openapi": "/openapi.json", "health": "/health"},
    });
    let edge = Edge::new(&config, deps.clock);
    let routes = Router::new()
        .route("/", get(async move || Json(root.clone())))
        .route("/problems/{code}", get(problem::page::show))
        .merge(health.routes())
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                Reason::RouteNotFound,
                "there is nothing at this address",
            )
            .into_response()
        });
    let drain = Drain {
        delay: config.shutdown_delay.0,
        timeout: config.shutdown_timeout.0,
    };
    Ok(Gateway {
        router: edge.around(routes),
        draining,
        drain,
    })
}

impl Gateway {
    /// The gateway as a service, for tests and for embedding.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves on `listener` until `stop`; then says so on `/readyz`, and ends once the requests in flight have ended, at the latest after
    /// `SHUTDOWN_TIMEOUT`.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        server::serve(self.router, listener, stop, self.draining, self.drain).await;
    }
}

#[cfg(test)]
mod testing;
