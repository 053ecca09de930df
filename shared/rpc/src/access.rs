//! The layer in front of every method of every service: deadline, identity, policy, panic guard,
//! and the end of a stream whose caller is no longer welcome.
//!
//! The [`crate::policies`] come from the descriptors, so a method cannot be forgotten; one that they do
//! not know is denied.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use quartet_kernel::{Deadline, DeadlineExceeded};
use quartet_limits::{Limits, Subject};
use quartet_telemetry::{TraceContext, TracedSpan, error_reports};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};
use tracing::Instrument;

use crate::guard::GuardedBody;
use crate::idempotency::CallKey;
use crate::policies::{Policies, Policy, Streams};
use crate::served::Served;
use crate::{Call, Caller, Failure, User, Verifier, timeout};

/// Metadata in which the gateway proves itself by a service token, beside the client's own token.
pub const GATEWAY_TOKEN: &str = "x-gateway-token";

/// Puts identity and policy in front of a service.
#[derive(Clone)]
pub struct AccessLayer {
    policies: Policies,
    verifier: Verifier,
    limits: Limits,
    default_deadline: Duration,
}

impl AccessLayer {
    /// A layer with the policies of the contracts. `default_deadline` is for callers that set none.
    pub fn new(verifier: Verifier, limits: Limits, default_deadline: Duration) -> Self {
        Self {
            policies: Policies::from_descriptors(),
            verifier,
            limits,
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
        let policy = layer.policies.of(request.uri().path());
        let served = Served::begin(traced_span.clone(), policy.name.clone());
        let streams = policy.streams;

        let work = async move {
            if deadline.has_passed() {
                return Ok(refuse(DeadlineExceeded.into()));
            }
            match deadline
                .bound(layer.identify(&policy, request.uri().path(), request.headers()))
                .await
            {
                Ok(Ok(caller)) => {
                    if let Caller::User(user) = &caller {
                        error_reports::set_user(user.id);
                        call.stale_after = layer.verifier.stale_after(user);
                    }
                    call.caller = caller;
                }
                Ok(Err(failure)) => {
                    // Whoever tries tokens is counted by their address.
                    if !layer.is_from_gateway(request.headers()).await
                        && let Err(limited) = layer.count(&policy, request.uri().path(), &call).await
                    {
                        return Ok(refuse(limited));
                    }
                    return Ok(refuse(failure));
                }
                Err(late) => return Ok(refuse(late.into())),
            }
            match layer.key(&policy, request.headers(), &call.caller) {
                Ok(key) => call.idempotency = key.map(Arc::new),
                Err(failure) => return Ok(refuse(failure)),
            }
            if policy.needs_fresh_proof()
                && let Err(failure) = call.fresh_proof()
            {
                return Ok(refuse(failure));
            }
            call.needs_precondition = policy.needs_precondition;
            if layer.is_from_gateway(request.headers()).await {
                call.trust_gateway(request.headers());
            } else if let Err(failure) = layer.count(&policy, request.uri().path(), &call).await {
                return Ok(refuse(failure));
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

    /// The idempotency key of the request, if the method takes one.
    fn key(&self, policy: &Policy, headers: &HeaderMap, caller: &Caller) -> Result<Option<CallKey>, Failure> {
        match (&policy.name, caller) {
            (Some(method), Caller::User(_) | Caller::Anonymous) => {
                CallKey::read(headers, method, policy.idempotency, self.verifier.fingerprint_secret())
            }
            (None, _) | (_, Caller::Service(_)) => Ok(None),
        }
    }

    /// Whether the gateway sent the call, which its own token beside the client's proves.
    async fn is_from_gateway(&self, headers: &HeaderMap) -> bool {
        let Some(token) = headers.get(GATEWAY_TOKEN).and_then(|token| token.to_str().ok()) else {
            return false;
        };
        matches!(self.verifier.verify(token).await, Ok(Caller::Service(name)) if name == "gateway")
    }

    /// Counts a call that the gateway has not counted; only users and anonymous clients have limits.
    async fn count(&self, policy: &Policy, path: &str, call: &Call) -> Result<(), Failure> {
        let user = match &call.caller {
            Caller::Service(_) => return Ok(()),
            Caller::Anonymous => None,
            Caller::User(user) => Some(user),
        };
        if !policy.is_limited {
            return Ok(());
        }
        let subject = Subject {
            user: user.map(|user| user.id),
            tier: user.and_then(|user| user.tier.as_deref()),
            address: call.client_address,
        };
        let verdict = self.limits.take(Some(path), subject).await;
        verdict.admitted().map_err(|refused| Failure::rate_limited(&refused))
    }

    /// Who calls, if they may.
    async fn identify(&self, policy: &Policy, path: &str, headers: &HeaderMap) -> Result<Caller, Failure> {
        let caller = match bearer(headers) {
            None => Caller::Anonymous,
            Some(token) => match self.verifier.verify(token).await {
                Ok(caller) => caller,
                // A public method takes anybody, so a stale token is no reason to refuse.
                Err(_) if policy.is_public() => Caller::Anonymous,
                Err(failure) => return Err(failure),
            },
        };
        match policy.admit(&caller) {
            Ok(()) => Ok(caller),
            Err(failure) => {
                record_denial(path, &caller, &failure);
                Err(failure)
            }
        }
    }
}

/// Writes that somebody who is known may not call a method, for the audit trail: a line to a log target of
/// its own.
fn record_denial(path: &str, caller: &Caller, failure: &Failure) {
    let actor = match caller {
        Caller::Anonymous => return,
        Caller::User(user) => user.id.to_string(),
        Caller::Service(name) => name.clone(),
    };
    tracing::info!(
        target: "quartet::security",
        event_type = "authz_fail",
        actor,
        detail = path,
        reason = failure.reason().code(),
        "security event"
    );
}

/// The token of the `Authorization` header (RFC 6750 §2.1), if it has the form of one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refuse(failure: Failure) -> Response<Body> {
    Status::from(failure).into_http()
}
