//! From an HTTP request to a gRPC call and back.
//!
//! In the order of a call: [`plan`] (what can be computed of a binding before any request),
//! [`cookie`] (checked on the way in, set on the way out), [`request`] (the message of a request),
//! [`metadata`] and [`upstream`] (the call), [`reply`] and [`stream`] (its outcome), [`status`]
//! (its failure). A WebSocket opens the same streams through [`topics`].

mod accept;
mod config;
mod content;
mod cookie;
mod deprecation;
mod events;
mod extensions;
mod location;
mod metadata;
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
mod upload;
mod upstream;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::request::Parts;
use http::{Method, Request, Response};
use prost_reflect::DynamicMessage;
use quartet_rpc::Upstream;
use quartet_rpc::access::bearer;
use tokio::time::Instant;

pub use config::Config;
pub use extensions::{ClientAddress, Deadline, DeadlineRequested};
use plan::Plan;
pub use plan::StartError;
use plan::format::Format;
use topics::Topics;
use upload::Upload;

use crate::problem::Problem;
use crate::routes::{Found, Match, Routes};

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
    /// What is wrong with the request, or the backend's failure.
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
                response.headers_mut().extend(plan.reply.headers.iter().cloned());
                response.extensions_mut().insert(Arc::clone(&plan.binding));
                if parts.method == Method::HEAD {
                    reply::drop_body(&mut response);
                }
                Ok(response)
            }
            Err(mut problem) => {
                problem.headers.extend(plan.reply.headers.iter().cloned());
                Err(problem)
            }
        }
    }

    async fn serve(
        &self,
        plan: &Arc<Plan>,
        parts: &Parts,
        captures: &[Cow<'_, str>],
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        // The service would refuse it as well, but only once the body has been read and understood.
        if plan.needs_token && bearer(&parts.headers).is_none() {
            return Err(status::token_missing());
        }
        let cookies = cookie::Exchange::begin(&plan.cookies, &parts.headers, &self.config.origins)?;
        let format = Format::choose(&plan.reply, plan.server_streaming, &parts.headers)?;
        let deadline = self.deadline(plan, parts);
        let (message, upload) = message(plan, parts, captures, body, &cookies, deadline).await?;

        let mut metadata = metadata::forwarded(parts);
        metadata::add_gateway_token(&mut metadata, self.config.tokens.as_ref());
        let call = upstream::Call {
            plan,
            metadata,
            deadline,
            config: &self.config,
        };
        let failed = |status: tonic::Status| status::for_request(&status, &plan.binding, &parts.headers);
        if !plan.server_streaming {
            let outcome = match upload {
                None => call.unary(message).await,
                Some(upload) => call.upload(message, upload).await?,
            };
            return match outcome {
                Ok(reply) => reply::unary(plan, reply, cookies),
                Err(status) => Err(cookies.refused(failed(status))),
            };
        }
        let outcome = match upload {
            None => call.stream(message).await,
            Some(upload) => call.both(message, upload).await?,
        };
        let replies = outcome.map_err(|status| cookies.refused(failed(status)))?;
        let (plan, config) = (Arc::clone(plan), Arc::clone(&self.config));
        stream::respond(plan, config, format, replies, &parts.headers, deadline).await
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
    plan: &Plan,
    parts: &Parts,
    captures: &[Cow<'_, str>],
    body: Body,
    cookies: &cookie::Exchange<'_>,
    deadline: Option<Instant>,
) -> Result<(DynamicMessage, Option<Upload>), Problem> {
    let filled = match plan.request.upload() {
        Some(field) => {
            let message = request::without_body(plan, parts, captures, cookies)?;
            (message, Some(Upload::new(field, &parts.headers, body)))
        }
        None => {
            let message = request::assemble(plan, parts, captures, body, cookies);
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
