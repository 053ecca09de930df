//! One call to a backend over the network: admitted, sent, and sent again where that is safe.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use quartet_kernel::Deadline;
use quartet_telemetry::metrics as names;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::BoxError;

use super::body::{self, Gathered, Held, Replay};
use super::details;
use super::elsewhere::Elsewhere;
use super::instance::{Broken, Load, Picked, Sent};
use super::methods::{self, Method, Repeat, Shape};
use super::pool::{Permit, Pool};
use crate::{Failure, timeout};

/// Further attempts at a call that an instance may have begun with.
const MAX_RETRIES: u32 = 2;
/// Attempts that no instance has begun with. They cost nobody anything.
const MAX_UNSENT: u32 = 10;
/// Metadata of a call that takes effect once, however often it comes.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Makes a call. Whatever fails below gRPC becomes a status: UNAVAILABLE, with when to try again,
/// or DEADLINE_EXCEEDED.
pub(super) async fn make(pool: Arc<Pool>, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let method = methods::of(request.uri().path());
    let deadline = timeout::deadline(request.headers());
    let made = attempts(pool, method, deadline, request);
    let made = match deadline {
        None => made.await,
        Some(deadline) => deadline.bound(made).await.unwrap_or_else(|late| Err(late.into())),
    };
    Ok(made.unwrap_or_else(|failure| Status::from(failure).into_http()))
}

/// A request's body.
enum Up {
    /// All of it, which can be sent again.
    Whole(bytes::Bytes),
    /// A stream, which cannot; `None` once it has been sent.
    Once(Option<Body>),
}

/// What one attempt came to.
enum Attempt {
    /// An answer to pass on.
    Answer(Response<Body>),
    /// The service cannot serve it now; its answer, for want of a better one.
    Refused(Response<Body>),
    /// No instance has begun with it; the body, if it came back.
    Unsent(Option<Body>),
    Broken,
}

async fn attempts(
    pool: Arc<Pool>,
    method: Method,
    deadline: Option<Deadline>,
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let mut permit = Some(pool.admit(method.shape != Shape::Unary).await?);
    pool.budget.deposit();
    let (mut parts, body) = request.into_parts();
    let elsewhere = parts.extensions.remove::<Elsewhere>();
    // They are of no use on the wire, and a copy would cost.
    parts.extensions.clear();
    let mut up = match method.shape {
        Shape::Stream => Up::Once(Some(body)),
        Shape::Unary | Shape::Replies => match body::whole(body).await {
            Ok(bytes) => Up::Whole(bytes),
            Err(status) => return Ok(status.into_http()),
        },
    };
    let is_whole = matches!(up, Up::Whole(_));
    let is_repeatable = is_whole
        && (method.repeat != Repeat::Never || (method.takes_key && parts.headers.contains_key(IDEMPOTENCY_KEY)));
    let mut tried = elsewhere.as_ref().map(Elsewhere::tried).unwrap_or_default();
    let (mut retries, mut unsent) = (0, 0);
    loop {
        let mut picked = pool.pick_or_wait(&tried, is_repeatable, method.waits).await?;
        if let Some(elsewhere) = &elsewhere {
            elsewhere.went_to(&picked.instance);
        }
        let body = match &mut up {
            Up::Whole(bytes) => body::of(bytes.clone()),
            Up::Once(body) => body.take().ok_or_else(|| pool.unavailable())?,
        };
        if let (true, Some(deadline)) = (retries + unsent > 0, deadline) {
            parts.headers.insert(GRPC_TIMEOUT, timeout_header(deadline.remaining()));
        }
        let request = Request::from_parts(parts.clone(), body);
        let attempt = attempt(&pool, &mut picked, method, request, &mut permit).await;
        if retries > 0 {
            count_retry(&pool, &attempt);
        }
        let refused = match attempt {
            Attempt::Answer(reply) => return Ok(reply),
            Attempt::Unsent(body) => {
                unsent += 1;
                if let Up::Once(once) = &mut up {
                    *once = body;
                }
                if unsent > MAX_UNSENT {
                    return Err(pool.unavailable());
                }
                tried.push(picked.instance.clone());
                drop(picked);
                if unsent > 2 {
                    tokio::time::sleep(pause(&pool, unsent)).await;
                }
                continue;
            }
            Attempt::Refused(reply) => Some(reply),
            Attempt::Broken => None,
        };
        let may = is_repeatable && retries < MAX_RETRIES;
        if !may || !withdraw(&pool) {
            return refused.ok_or_else(|| pool.unavailable());
        }
        tried.push(picked.instance.clone());
        drop(picked);
        tokio::time::sleep(pause(&pool, retries)).await;
        retries += 1;
    }
}

/// Sends the request to one instance, and records what that says of the instance.
async fn attempt(
    pool: &Arc<Pool>,
    picked: &mut Picked,
    method: Method,
    request: Request<Body>,
    permit: &mut Option<Permit>,
) -> Attempt {
    let reply = match picked.send(request).await {
        Sent::Answered(reply) => reply,
        Sent::Unsent { body, lost } => {
            if lost {
                pool.lost(&picked.instance, picked.generation, false, false);
            }
            return Attempt::Unsent(body);
        }
        Sent::Broken(broken) => return broke(pool, picked, &broken),
    };
    let is_refusal = |headers: &HeaderMap| method.repeat == Repeat::NoSideEffects && is_refusal(headers);
    let (mut head, rest) = reply.into_parts();
    details::remove_unreadable(&mut head.headers, &pool.name);
    if is_refusal(&head.headers) {
        pool.succeeded(picked);
        return Attempt::Refused(Response::from_parts(head, Body::empty()));
    }
    if method.shape != Shape::Unary {
        pool.succeeded(picked);
        return Attempt::Answer(Response::from_parts(
            head,
            held(pool, Replay::default(), rest, picked, permit),
        ));
    }
    match body::gather(rest).await {
        Gathered::Whole(mut replay) => {
            if let Some(trailers) = &mut replay.trailers {
                details::remove_unreadable(trailers, &pool.name);
            }
            pool.succeeded(picked);
            let refused = replay.trailers.as_ref().is_some_and(is_refusal);
            let reply = Response::from_parts(head, Body::new(replay));
            if refused {
                Attempt::Refused(reply)
            } else {
                Attempt::Answer(reply)
            }
        }
        Gathered::Large(replay, rest) => {
            pool.succeeded(picked);
            Attempt::Answer(Response::from_parts(head, held(pool, replay, rest, picked, permit)))
        }
        Gathered::Broken(error) => broke(pool, picked, &Broken::of(error)),
    }
}

fn broke(pool: &Pool, picked: &Picked, broken: &Broken) -> Attempt {
    let (error, instance) = (&broken.error, picked.instance.key.1);
    tracing::debug!(upstream = %pool.name, %instance, %error, "a call broke off");
    pool.failed(picked, broken.what);
    Attempt::Broken
}

/// A reply that still comes: its call is in flight until it has ended.
fn held(pool: &Pool, begun: Replay, rest: Incoming, picked: &Picked, permit: &mut Option<Permit>) -> Body {
    let held = (Load::of(&picked.instance), permit.take());
    Body::new(Held::new(pool.name.clone(), begun, rest, held))
}

/// Whether the service is not able to serve now, and leaves open when it will be.
fn is_refusal(headers: &HeaderMap) -> bool {
    let is_unavailable = headers.get(GRPC_STATUS).is_some_and(|code| code == "14");
    is_unavailable
        && Status::from_header_map(headers)
            .is_some_and(|status| status.code() == Code::Unavailable && status.get_details_retry_info().is_none())
}

fn withdraw(pool: &Pool) -> bool {
    let allowed = pool.budget.withdraw();
    if !allowed {
        metrics::counter!(names::RPC_CLIENT_RETRIES_WITHHELD, "upstream" => pool.name.clone()).increment(1);
    }
    allowed
}

fn count_retry(pool: &Pool, attempt: &Attempt) {
    let outcome = match attempt {
        Attempt::Answer(_) => "answered",
        Attempt::Refused(_) => "unavailable",
        Attempt::Unsent(_) | Attempt::Broken => "broken",
    };
    metrics::counter!(names::RPC_CLIENT_RETRIES, "upstream" => pool.name.clone(), "outcome" => outcome).increment(1);
}

/// Up to 10 ms before the first retry, up to 50 ms before the second one.
fn pause(pool: &Pool, retries: u32) -> Duration {
    let most = if retries == 0 { 10_000 } else { 50_000 };
    Duration::from_micros(pool.roll() % most)
}

/// What is left of a deadline, as gRPC writes it: at most eight digits and a unit.
fn timeout_header(left: Duration) -> HeaderValue {
    let text = match (left.as_micros(), left.as_millis()) {
        (micros, _) if micros < 100_000_000 => format!("{micros}u"),
        (_, millis) if millis < 100_000_000 => format!("{millis}m"),
        _ => format!("{}S", left.as_secs().min(99_999_999)),
    };
    // Digits and a letter are always a value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("1S"))
}
