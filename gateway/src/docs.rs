//! The interface described for people and programs: `/openapi.json`, the pages `/docs` (Swagger UI)
//! and `/redoc` that show it, and `/asyncapi.json` for the WebSocket.

pub mod openapi;

mod assets;
mod asyncapi;
mod pages;
mod visibility;

use std::sync::Arc;

use axum::routing::get;
use axum::{Router, middleware};
use bytes::Bytes;
use http::HeaderMap;
use prost_reflect::DescriptorPool;
use quartet_config::Environment;
use quartet_rpc::Verifier;
use serde_json::{Value, json};

use crate::call::Transcoder;
use crate::comments::Comments;
use crate::config::Config;
use crate::pages::PublicUrl;
use crate::pages::home::Home;
use crate::routes::Binding;
use crate::ws::limits::Limits;

use assets::Asset;
use visibility::{Gate, Visibility};

/// The description and its pages, ready to be served.
pub struct Docs {
    visibility: Visibility,
    document: Bytes,
    socket: Bytes,
    home: Home,
    name: String,
    token_url: Option<String>,
    verifier: Option<Verifier>,
}

impl Docs {
    /// Writes the description of every route.
    pub(crate) fn new(
        config: &Config,
        pool: &DescriptorPool,
        transcoder: &Transcoder,
        verifier: Option<Verifier>,
        public_url: PublicUrl,
    ) -> Self {
        let visibility = Visibility::in_environment(config.environment);
        let routes = transcoder.routes();
        let mut info: openapi::Info = config.into();
        if let Some(address) = public_url.text() {
            info.address = address.to_owned();
        }
        let comments = Comments::of_contracts();
        let document = openapi::document(pool, &comments, routes.bindings(), &info);
        let bindings: Vec<&Binding> = routes.bindings().collect();
        let limits = Limits::of(config);
        let socket = asyncapi::document(transcoder.topics(), &limits, &comments, &document, &info);
        Self {
            visibility,
            // The description is made of strings and numbers, which always have a JSON form.
            document: serde_json::to_vec(&document).unwrap_or_default().into(),
            socket: serde_json::to_vec(&socket).unwrap_or_default().into(),
            home: Home::new(config, root(config, visibility), public_url),
            name: config.app_name.clone(),
            token_url: openapi::token_url(&bindings).map(str::to_owned),
            verifier,
        }
    }

    /// The routes, behind the gate of the environment. `transcoder` signs in a browser that opens a
    /// page.
    pub fn routes(self, transcoder: Arc<Transcoder>) -> Router {
        let home = Arc::new(self.home);
        let open = Router::new().route("/", get(async move |headers: HeaderMap| home.respond(&headers)));
        let document = Asset::new("application/json", self.document);
        let socket = Asset::new("application/json", self.socket);
        let (swagger, redoc) = (pages::swagger(&self.name), pages::redoc(&self.name));
        let pages = Router::new()
            .route("/openapi.json", get(async move |headers| document.respond(&headers)))
            .route("/asyncapi.json", get(async move |headers| socket.respond(&headers)))
            .route("/docs", get(async move || swagger))
            .route("/redoc", get(async move || redoc))
            .route("/docs/assets/{name}", get(assets::serve));
        match self.visibility {
            Visibility::Open => open.merge(pages),
            Visibility::Superusers => {
                let gate = Arc::new(Gate::new(self.verifier, transcoder, self.token_url));
                open.merge(pages.layer(middleware::from_fn_with_state(gate, visibility::admit)))
            }
            Visibility::Absent => open,
        }
    }
}

/// The paths that somebody without a way may be led to in an environment, that of all addresses first.
/// None where nobody sees the docs.
pub(crate) fn shown_paths(environment: Environment) -> impl Iterator<Item = &'static str> {
    let paths: &[&str] = match Visibility::in_environment(environment) {
        Visibility::Absent => &[],
        Visibility::Open | Visibility::Superusers => &[
            "/docs",
            "/openapi.json",
            "/redoc",
            "/asyncapi.json",
            "/health",
            "/readyz",
            "/livez",
        ],
    };
    paths.iter().copied()
}

/// The reply to `/`.
fn root(config: &Config, visibility: Visibility) -> Value {
    let mut links = json!({});
    if visibility != Visibility::Absent {
        for (name, path) in [
            ("docs", "/docs"),
            ("redoc", "/redoc"),
            ("openapi", "/openapi.json"),
            ("asyncapi", "/asyncapi.json"),
        ] {
            links[name] = path.into();
        }
    }
    links["health"] = "/health".into();
    let mut root = json!({"name": config.app_name});
    if let Some(version) = config.public_version() {
        root["version"] = version.into();
    }
    root["links"] = links;
    root
}

impl Visibility {
    /// Who sees the docs where.
    fn in_environment(environment: Environment) -> Self {
        match environment {
            Environment::Local | Environment::Dev | Environment::Uat | Environment::Uatbiz | Environment::Sanity => {
                Self::Open
            }
            Environment::Staging => Self::Superusers,
            Environment::Production => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests;
