//! From an HTTP request to a gRPC call and back.
//!
//! In the order of a call: [`plan`] (what can be computed of a binding before any request), [`limit`]
//! (who calls, and whether they may call now), [`cookie`] and [`etag`] (checked on the way in, set on
//! the way out), [`cache`] (what needs no call), [`request`] (the message of a request),
//! [`metadata`], [`idempotency`] and [`upstream`] (the call), [`reply`] and [`stream`] (its outcome), [`status`]
//! (its failure). A WebSocket opens the same streams through [`topics`].

pub(crate) mod accept;
mod backend;
mod cache;
mod config;
mod content;
mod cookie;
mod deprecation;
mod details;
mod etag;
mod events;
mod extensions;
mod fields;
mod idempotency;
pub(crate) mod limit;
mod location;
mod metadata;
pub(crate) mod multipart;
mod passed;
mod plan;
mod raw;
mod replies;
mod reply;
mod request;
pub mod status;
mod stream;
pub(crate) mod topic_stream;
pub(crate) mod topics;
mod transport;
mod unstoppable;
mod upload;
mod upstream;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use quartet_rpc::access::bearer;
use quartet_rpc::{Upstream, User};
use tokio::time::Instant;

use cache::InFlight;
pub use config::{Config, CookieStyle};
pub(crate) use content::read as read_body;
pub use extensions::{ClientAddress, Deadline, DeadlineRequested};
pub use passed::Passed;
use plan::Plan;
pub use plan::StartError;
use plan::cache::CachePlan;
use plan::format::Format;
pub(crate) use reply::drop_body;
use request::Request;
use topics::Topics;
use upload::Upload;

use crate::open_streams::Counted;
use crate::problem::Problem;
use crate::routes::{self, Found, Match, Routes};
use crate::transcode::received::Received;

/// Serves every binding of the routes.
pub struct Transcoder {
    routes: Arc<Routes>,
    plans: Vec<Arc<Plan>>,
    topics: Topics,
    in_flight: InFlight,
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
            in_flight: InFlight::default(),
            config,
        })
    }

    /// The streams that a WebSocket can subscribe to.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// What a WebSocket that begins with this request passes on with each of its calls.
    pub(crate) fn client_context(&self, parts: &Parts) -> topic_stream::ClientContext {
        topic_stream::ClientContext::of(parts, &self.config.passed)
    }

    /// The routes that are served.
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The time that a binding's method declares for itself, in place of the general timeout.
    pub fn timeout(&self, found: &Match<'_>) -> Option<Duration> {
        self.plans.get(found.index).and_then(|plan| plan.timeout)
    }

    /// Serves a request. The outcome carries the template of the route that it took.
    ///
    /// # Errors
    /// What is wrong with the request, or the backend's failure.
    pub async fn call(&self, request: http::Request<Body>) -> Result<Response<Body>, Problem> {
        match self.try_call(request).await {
            Ok(outcome) => outcome,
            Err(request) => {
                let (parts, _) = request.into_parts();
                // Whoever tries paths is counted as well.
                self.count(&parts).await?;
                let mut problem = routes::not_found();
                self.lead_on(parts.uri.path(), &mut problem);
                Err(problem)
            }
        }
    }

    /// The same, where the path is one of the API.
    ///
    /// # Errors
    /// The request, where it is not.
    pub async fn try_call(
        &self,
        request: http::Request<Body>,
    ) -> Result<Result<Response<Body>, Problem>, http::Request<Body>> {
        let (parts, body) = request.into_parts();
        let found = self.routes.find(&parts.method, parts.uri.path());
        match &found {
            Found::Match(matched) => Ok(self.call_found(matched, &parts, body).await),
            Found::NotFound => Err(http::Request::from_parts(parts, body)),
            Found::MethodNotAllowed { allow } => {
                let counted = self.count(&parts).await;
                Ok(Err(counted.err().unwrap_or_else(|| routes::not_allowed(allow))))
            }
        }
    }

    async fn call_found(&self, found: &Match<'_>, parts: &Parts, body: Body) -> Result<Response<Body>, Problem> {
        let plan = &self.plans[found.index];
        let outcome = async {
            let captures = found.captures()?;
            let user = limit::user(self.config.verifier.as_ref(), parts).await;
            let method = Some(plan.target.path.as_str());
            let limits = limit::count(&self.config.limits, method, user.as_ref(), parts).await?;
            match self.serve(plan, parts, &captures, user.as_ref(), body).await {
                Ok(mut response) => {
                    response.headers_mut().extend(limits);
                    response.headers_mut().extend(plan.reply.headers.iter().cloned());
                    response.extensions_mut().insert(plan.route.clone());
                    if parts.method == Method::HEAD {
                        reply::drop_body(&mut response);
                    }
                    Ok(response)
                }
                Err(mut problem) => {
                    problem.headers.extend(limits);
                    problem.headers.extend(plan.reply.headers.iter().cloned());
                    Err(problem)
                }
            }
        };
        outcome.await.map_err(|problem| plan.failed(problem))
    }

    /// Counts a request that leads to no method.
    async fn count(&self, parts: &Parts) -> Result<(), Problem> {
        let user = limit::user(self.config.verifier.as_ref(), parts).await;
        limit::count(&self.config.limits, None, user.as_ref(), parts)
            .await
            .map(drop)
    }

    /// What a client may have meant by a path that leads nowhere, or where it finds what there is.
    fn lead_on(&self, path: &str, problem: &mut Problem) {
        let shown = &self.config.shown_paths;
        let described = || Some(("described", shown.first()?.as_str()));
        let near = self.routes.nearest(path, shown).map(|near| ("near", near));
        if let Some((cause, value)) = near.or_else(described) {
            problem.metadata.insert("cause".to_owned(), cause.to_owned());
            problem.metadata.insert(cause.to_owned(), value.to_owned());
        }
    }

    async fn serve(
        &self,
        plan: &Arc<Plan>,
        parts: &Parts,
        captures: &[Cow<'_, str>],
        user: Option<&User>,
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        // The service would refuse it as well, but only once the body has been read and understood.
        if plan.needs_token && bearer(&parts.headers).is_none() {
            return Err(status::token_missing());
        }
        let cookies = cookie::Exchange::begin(&plan.cookies, &parts.headers, &self.config.origins)?;
        let format = Format::choose(&plan.reply, plan.server_streaming, &parts.headers)?;
        let fields = fields::requested(plan, parts.uri.query())?;
        let deadline = self.deadline(plan, parts);
        let request = Request {
            plan,
            parts,
            captures,
            cookies: &cookies,
            caller: user,
        };
        let (message, upload) = message(&request, body, deadline).await?;

        let mut metadata = metadata::forwarded(parts, &self.config.passed);
        metadata::add_gateway_token(&mut metadata, self.config.tokens.as_ref());
        let call = upstream::Call {
            plan,
            metadata,
            deadline,
            config: &self.config,
        };
        let failed = |status: tonic::Status| status::for_request(&status, &plan.binding, &parts.headers);
        if !plan.server_streaming {
            let cached = plan
                .cache
                .as_ref()
                .map(|cache| self.cached(plan, cache, &message, parts, user));
            let make = async || {
                let outcome = match upload {
                    None => call.unary(message).await,
                    Some(upload) => call.upload(message, upload).await?,
                };
                match outcome {
                    Ok(reply) => {
                        let (metadata, message, _) = reply.into_parts();
                        let mut response = reply::unary(plan, message, fields.as_ref(), cookies)?;
                        self.config.passed.reply(metadata.as_ref(), response.headers_mut());
                        idempotency::mark(&metadata, response.headers_mut());
                        Ok(response)
                    }
                    Err(status) => Err(cookies.refused(failed(status))),
                }
            };
            return match cached {
                None => make().await,
                Some(request) => request.serve(make).await,
            };
        }
        let open = match user {
            Some(user) => Some(
                self.config
                    .streams
                    .open(user.id)
                    .ok_or_else(|| self.config.streams.refused())?,
            ),
            None => None,
        };
        let outcome = match upload {
            None => call.stream(message).await,
            Some(upload) => call.both(message, upload).await?,
        };
        let replies = outcome.map_err(|status| cookies.refused(failed(status)))?;
        let (plan, config) = (Arc::clone(plan), Arc::clone(&self.config));
        let response = stream::respond(plan, config, format, replies, &parts.headers, deadline).await?;
        Ok(match open {
            Some(open) => response.map(|body| Counted::around(body, open)),
            None => response,
        })
    }

    fn cached<'a>(
        &'a self,
        plan: &'a Plan,
        cache: &'a CachePlan,
        message: &Bytes,
        parts: &'a Parts,
        user: Option<&'a User>,
    ) -> cache::Request<'a> {
        cache::Request {
            plan: cache,
            route: &plan.binding.template,
            cache: &self.config.cache,
            in_flight: &self.in_flight,
            client_max_age: self.config.client_max_age,
            user,
            tags: cache.tags(&Received::Wire(message.clone()), user),
            parts,
        }
    }

    /// When the call is given up. A stream lasts until its client leaves unless the client or the
    /// method sets a time.
    fn deadline(&self, plan: &Plan, parts: &Parts) -> Option<Instant> {
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

/// The message of a request, and the rest of its body where that streams up.
async fn message(
    request: &Request<'_>,
    body: Body,
    deadline: Option<Instant>,
) -> Result<(Bytes, Option<Upload>), Problem> {
    let filled = match request.plan.request.upload() {
        Some(field) => {
            let upload = Upload::open(field, request.parts, body);
            // As below: a form is read up to its file.
            let upload = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, upload)
                    .await
                    .map_err(|_| status::expired())??,
                None => upload.await?,
            };
            (request.without_body()?, Some(upload))
        }
        None => {
            let message = request.assemble(body);
            // A client that sends its body too slowly has used up its own time.
            let message = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, message)
                    .await
                    .map_err(|_| status::expired())??,
                None => message.await?,
            };
            (message, None)
        }
    };
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return Err(status::expired());
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
