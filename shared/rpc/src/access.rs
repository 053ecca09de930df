//! The layer in front of every method of every service: deadline, identity, policy, panic guard,
//! and the end of a stream whose caller is no longer welcome.
//!
//! The policies come from the descriptors, so a method cannot be forgotten; one that they do not
//! know is denied.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use quartet_kernel::{Deadline, DeadlineExceeded};
use quartet_proto::descriptors;
use quartet_proto::options::{self, Access, Reason};
use quartet_telemetry::{TraceContext, TracedSpan};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::guard::GuardedBody;
use crate::served::Served;
use crate::{Call, Caller, Failure, User, Verifier, timeout};

/// Metadata in which the gateway proves itself by a service token, beside the client's own token.
pub const GATEWAY_TOKEN: &str = "x-gateway-token";

/// The policy of every method, by its path, such as `/quartet.todos.v1.TodoService/GetTodo`.
#[derive(Clone)]
pub struct Policies(Arc<HashMap<String, Policy>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    /// The method's name, such as `quartet.todos.v1.TodoService/GetTodo`.
    name: Arc<str>,
    access: Access,
    streams: Streams,
}

/// How a method's replies come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streams {
    /// One reply.
    No,
    /// A file in pieces: it ends by itself, and whoever was let in at its start may have all of it.
    File,
    /// Replies that may go on for as long as anybody listens.
    Endless,
}

impl Policies {
    /// The policies that the contracts declare, and those of health checks and reflection, which
    /// anybody may call.
    pub fn from_descriptors() -> Self {
        let methods = descriptors::pool()
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let declared = methods.filter_map(|method| {
            let name = format!("{}/{}", method.parent_service().full_name(), method.name());
            let streams = match (method.is_server_streaming(), method.output().full_name()) {
                (false, _) => Streams::No,
                (true, "google.api.HttpBody") => Streams::File,
                (true, _) => Streams::Endless,
            };
            Some(Policy {
                name: name.into(),
                access: options::access(&method)?,
                streams,
            })
        });
        let standard = [
            "grpc.health.v1.Health/Check",
            "grpc.health.v1.Health/Watch",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ];
        // They reveal nobody's data, so that nobody's session matters to their streams.
        let standard = standard.into_iter().map(|name| Policy {
            name: name.into(),
            access: Access::Public,
            streams: Streams::No,
        });
        let by_path = |policy: Policy| (format!("/{}", policy.name), policy);
        Self(Arc::new(declared.chain(standard).map(by_path).collect()))
    }

    /// Whether `caller` may call the method at `path`.
    pub fn admit(&self, path: &str, caller: &Caller) -> Result<(), Failure> {
        let denied = |message: &str| Err(Failure::new(Code::PermissionDenied, Reason::PermissionDenied, message));
        match (self.0.get(path).map(|policy| policy.access), caller) {
            (None | Some(Access::Unspecified), _) => denied("there is no such method for you"),
            (Some(Access::Public), _)
            | (Some(Access::User), Caller::User(_))
            | (Some(Access::Service), Caller::Service(_)) => Ok(()),
            (Some(Access::Superuser), Caller::User(user)) if user.is_superuser() => Ok(()),
            (Some(Access::User | Access::Superuser | Access::Service), Caller::Anonymous) => Err(Failure::new(
                Code::Unauthenticated,
                Reason::TokenMissing,
                "an access token is required",
            )),
            (Some(Access::Superuser), Caller::User(_)) => denied("only superusers may do this"),
            (Some(Access::Service), Caller::User(_)) => denied("only services of the suite may do this"),
            (Some(Access::User | Access::Superuser), Caller::Service(_)) => denied("services may not do this"),
        }
    }

    /// The method's name, if there is such a method.
    fn name(&self, path: &str) -> Option<Arc<str>> {
        self.0.get(path).map(|policy| policy.name.clone())
    }

    fn is_public(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|policy| policy.access == Access::Public)
    }

    fn streams(&self, path: &str) -> Streams {
        self.0.get(path).map_or(Streams::No, |policy| policy.streams)
    }
}

/// Puts [`Access`] in front of a service.
#[derive(Clone)]
pub struct AccessLayer {
    policies: Policies,
    verifier: Verifier,
    default_deadline: Duration,
}

impl AccessLayer {
    /// A layer with the policies of the contracts. `default_deadline` is for callers that set none.
    pub fn new(verifier: Verifier, default_deadline: Duration) -> Self {
        Self {
            policies: Policies::from_descriptors(),
            verifier,
            default_deadline,
        }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind the access layer.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    layer: AccessLayer,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let layer = self.layer.clone();
        // The clone is yet to be made ready; the service that was made ready takes the call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let deadline = timeout::deadline(request.headers()).unwrap_or_else(|| Deadline::after(layer.default_deadline));
        let peer = request
            .extensions()
            .get::<TcpConnectInfo>()
            .and_then(TcpConnectInfo::remote_addr);
        let mut call = Call::from_headers(request.headers(), deadline, peer.map(|address| address.ip()));
        let span = tracing::info_span!(
            "rpc",
            otel.kind = "server",
            method = request.uri().path(),
            request_id = call.request_id
        );
        let cause = TraceContext::of(request.headers());
        let traced_span = TracedSpan::child_of(span, cause.as_ref());
        call.trace = traced_span.context();
        let served = Served::begin(traced_span.clone(), layer.policies.name(request.uri().path()));
        let streams = layer.policies.streams(request.uri().path());

        let work = async move {
            if deadline.has_passed() {
                return Ok(refuse(DeadlineExceeded.into()));
            }
            match deadline
                .bound(layer.identify(request.uri().path(), request.headers()))
                .await
            {
                Ok(Ok(caller)) => call.caller = caller,
                Ok(Err(failure)) => return Ok(refuse(failure)),
                Err(late) => return Ok(refuse(late.into())),
            }
            if layer.is_from_gateway(request.headers()).await {
                call.trust_gateway(request.headers());
            }
            let user = match (&call.caller, streams) {
                (_, Streams::No) | (Caller::Anonymous | Caller::Service(_), _) => None,
                (Caller::User(user), Streams::File | Streams::Endless) => Some(user.clone()),
            };
            request.extensions_mut().insert(call);
            match deadline
                .bound(AssertUnwindSafe(inner.call(request)).catch_unwind())
                .await
            {
                Ok(Ok(Ok(reply))) => Ok(match user {
                    Some(user) => reply.map(|body| layer.guard(body, user, streams == Streams::File)),
                    None => reply,
                }),
                Ok(Ok(Err(error))) => Err(error),
                Ok(Err(_)) => {
                    tracing::error!("the method panicked");
                    Ok(refuse(Failure::internal()))
                }
                Err(late) => Ok(refuse(late.into())),
            }
        };
        let work = work.instrument(traced_span.span().clone());
        Box::pin(async move { Ok(served.follow(work.await?, streams != Streams::No)) })
    }
}

impl AccessLayer {
    /// A stream that ends when `user` may no longer have it.
    fn guard(&self, body: Body, user: User, past_expiry: bool) -> Body {
        let verifier = self.verifier.clone();
        GuardedBody::around(body, async move { verifier.until_unwelcome(&user, past_expiry).await })
    }

    /// Whether the gateway sent the call, which its own token beside the client's proves.
    async fn is_from_gateway(&self, headers: &HeaderMap) -> bool {
        let Some(token) = headers.get(GATEWAY_TOKEN).and_then(|token| token.to_str().ok()) else {
            return false;
        };
        matches!(self.verifier.verify(token).await, Ok(Caller::Service(name)) if name == "gateway")
    }

    /// Who calls, if they may.
    async fn identify(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Failure> {
        let caller = match bearer(headers) {
            None => Caller::Anonymous,
            Some(token) => match self.verifier.verify(token).await {
                Ok(caller) => caller,
                // A public method takes anybody, so a stale token is no reason to refuse.
                Err(_) if self.policies.is_public(path) => Caller::Anonymous,
                Err(failure) => return Err(failure),
            },
        };
        self.policies.admit(path, &caller).map(|()| caller)
    }
}

/// The token of the `Authorization` header (RFC 6750 §2.1), if it has the form of one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refuse(failure: Failure) -> Response<Body> {
    Status::from(failure).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_the_contracts_do_not_know_is_denied_to_everybody() {
        let policies = Policies::from_descriptors();
        for caller in [Caller::Anonymous, Caller::Service("todos".into())] {
            let failure = policies
                .admit("/quartet.todos.v1.TodoService/Drop", &caller)
                .unwrap_err();
            assert_eq!(failure.code(), Code::PermissionDenied);
        }
    }

    #[test]
    fn every_method_of_the_contracts_has_a_policy() {
        let policies = Policies::from_descriptors();
        for service in descriptors::pool()
            .services()
            .filter(|service| service.full_name().starts_with("quartet."))
        {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                assert!(policies.0.contains_key(&path), "{path}");
            }
        }
    }
}
