//! From an HTTP request to a gRPC call and back.
//!
//! Reading order: `plan` (what is known of a binding before any request), `request` (the message of a request), `upstream`
//! (the call), `reply` and `stream` (its outcome), `status` (its failure).

mod accept;
mod content;
mod cookie;
mod deprecation;
mod events;
mod location;
mod metadata;
mod plan;
mod raw;
mod replies;
mod reply;
mod request;
pub mod status;
mod stream;
pub(crate) mod topics;
mod upload;
mod upstream;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use quartet_rpc::Upstream;
use quartet_rpc::access::bearer;
use quartet_rpc::token::ServiceTokens;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use plan::Plan;
pub use plan::StartError;
use topics::Topics;

use crate::problem::Problem;
use crate::routes::{Found, Match, Routes};

/// Request extension: the moment after which nobody waits for the reply. Set by the edge.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

/// Request extension: the client itself asked for the [`Deadline`], so that a method's own timeout does not extend it.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineRequested;

/// Request extension: the address of the client, as far as proxies are trusted. Set by the edge.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// Checks that a request which may use or set a cookie comes from a page of an allowed origin.
pub type OriginCheck = Arc<dyn Fn(&HeaderMap) -> Result<(), Problem> + Send + Sync>;

/// Tells whether the page that sent a request may read its reply, cookies aside.
pub type Readable = Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>;

/// Writes a problem as the JSON of a stream's last element; it sees the request's headers, for the language.
pub type RenderProblem = Arc<dyn Fn(&Problem, &HeaderMap) -> Bytes + Send + Sync>;

/// How calls are made.
#[derive(Clone)]
pub struct Config {
    /// Time that a call may take when neither the request nor its method says otherwise.
    pub timeout: Duration,
    /// Largest message that a backend may send, in bytes.
    pub max_reply_bytes: usize,
    /// Whether cookies are `Secure`; off only where people use plain HTTP.
    pub secure_cookies: bool,
    /// Time between the comments that keep an idle event stream open.
    pub keep_alive: Duration,
    /// Called before a cookie is used or set.
    pub origin: OriginCheck,
    /// Whether a page of another origin is a client all the same, though none that may have cookies.
    pub readable: Readable,
    /// Called when a stream fails after it has begun.
    pub render: RenderProblem,
    /// What the gateway proves itself with to the services.
    pub tokens: Option<ServiceTokens>,
    /// Cancelled when the gateway drains: streams end then.
    pub closing: CancellationToken,
}

/// Serves every binding of the routes.
pub struct Transcoder {
    routes: Arc<Routes>,
    plans: Vec<Arc<Plan>>,
    topics: Topics,
    config: Arc<Config>,
}

impl Transcoder {
    /// Prepares a plan for each binding. `backends` are keyed by the full name of the gRPC service.
    ///
    /// # Errors
    /// Names the method that has no backend, or whose options cannot be served.
    pub fn new(routes: Arc<Routes>, backends: &HashMap<String, Upstream>, config: Config) -> Result<Self, StartError> {
        let plans: Vec<_> = routes
            .shared_bindings()
            .map(|binding| Plan::compile(binding, backends, &config).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let config = Arc::new(config);
        Ok(Self {
            routes,
            topics: Topics::compile(&plans, config.clone())?,
            plans,
            config,
        })
    }

    /// The streams that a WebSocket can subscribe to.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The document of a problem for a client with these headers.
    pub(crate) fn render(&self, problem: &Problem, headers: &HeaderMap) -> Bytes {
        (self.config.render)(problem, headers)
    }

    /// The routes that are served.
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The time that a binding's method declares for itself, in place of the general timeout.
    pub fn timeout(&self, found: &Match<'_>) -> Option<Duration> {
        self.plans.get(found.index).and_then(|plan| plan.timeout)
    }

    /// Serves a request. The reply carries the `Arc<Binding>` that served it as an extension.
    ///
    /// # Errors
    /// What is wrong with the request, or what the backend says.
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let found = self.routes.find(&parts.method, path);
        let (plan, captures) = match (&found, found.problem()) {
            (_, Some(problem)) => return Err(problem),
            (Found::Match(found), None) => (Arc::clone(&self.plans[found.index]), found.captures()?),
            (_, None) => return Err(status::internal("a request was found and not found")),
        };
        let outcome = self.serve(&plan, &parts, &captures, body).await;
        match outcome {
            Ok(mut response) => {
                response.headers_mut().extend(plan.headers.iter().cloned());
                response.extensions_mut().insert(Arc::clone(&plan.binding));
                if parts.method == Method::HEAD {
                    reply::behead(&mut response);
                }
                Ok(response)
            }
            Err(mut problem) => {
                problem.headers.extend(plan.headers.iter().cloned());
                Err(problem)
            }
        }
    }

    async fn serve(
        &self,
        plan: &Arc<Plan>,
        parts: &http::request::Parts,
        captures: &[std::borrow::Cow<'_, str>],
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        // The service would say the same, but only once the body has been read and understood.
        if plan.needs_token && bearer(&parts.headers).is_none() {
            return Err(status::token_missing());
        }
        cookie::may_set(plan, &parts.headers, &self.config)?;
        let format = plan.format(&parts.headers)?;
        let deadline = self.deadline(plan, parts);
        let (message, upload) = match plan.upload() {
            Some(field) => {
                let message = request::without_body(plan, parts, captures, &self.config)?;
                (message, Some(upload::Upload::new(field, &parts.headers, body)))
            }
            None => {
                let assembled = request::assemble(plan, parts, captures, body, &self.config);
                // A client that sends its body too slowly has used up its own time.
                let message = match deadline {
                    Some(deadline) => tokio::time::timeout_at(deadline, assembled)
                        .await
                        .map_err(|_| status::expired())??,
                    None => assembled.await?,
                };
                (message, None)
            }
        };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(status::expired());
        }
        let mut metadata = metadata::forwarded(parts);
        metadata::prove(&mut metadata, self.config.tokens.as_ref());
        let call = upstream::Call {
            plan,
            metadata,
            deadline,
            config: &self.config,
        };
        let failed = |status: tonic::Status| {
            let mut problem = status::for_request(&status, &plan.binding, &parts.headers);
            cookie::forget(&plan.cookies_in, &parts.headers, &mut problem);
            problem
        };
        if !plan.server_streaming {
            let reply = match upload {
                None => call.unary(message).await.map_err(failed)?,
                Some(upload) => call.upload(message, upload).await?.map_err(failed)?,
            };
            return reply::unary(plan, reply, || (self.config.origin)(&parts.headers));
        }
        let replies = match upload {
            None => call.stream(message).await.map_err(failed)?,
            Some(upload) => call.both(message, upload).await?.map_err(failed)?,
        };
        stream::respond(
            Arc::clone(plan),
            Arc::clone(&self.config),
            format,
            replies,
            &parts.headers,
            deadline,
        )
        .await
    }

    /// When nobody waits any more. A stream lasts until its client leaves unless somebody has said how long.
    fn deadline(&self, plan: &Plan, parts: &http::request::Parts) -> Option<Instant> {
        let given = parts.extensions.get::<Deadline>().map(|deadline| deadline.0);
        let requested = parts.extensions.get::<DeadlineRequested>().is_some();
        match (plan.timeout, given) {
            (Some(own), Some(given)) if requested => Some(given.min(Instant::now() + own)),
            (Some(own), _) => Some(Instant::now() + own),
            (None, given) if plan.server_streaming => given.filter(|_| requested),
            (None, Some(given)) => Some(given),
            (None, None) => Some(Instant::now() + self.config.timeout),
        }
    }
}

#[cfg(test)]
mod tests;
