//! Who calls, and whether they may call now.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use quartet_limits::{Limits, Refused, Subject, Verdict};
use quartet_proto::options::Reason;
use quartet_rpc::access::bearer;
use quartet_rpc::{Caller, User, Verifier};

use super::extensions::ClientAddress;
use crate::problem::Problem;

/// Headers of a reply.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The user whose token the request carries. A token that is not valid is nobody's: the service
/// answers to that.
pub(crate) async fn user(verifier: Option<&Verifier>, parts: &Parts) -> Option<User> {
    match verifier?.verify(bearer(&parts.headers)?).await {
        Ok(Caller::User(user)) => Some(user),
        Ok(Caller::Anonymous | Caller::Service(_)) | Err(_) => None,
    }
}

/// Counts a call of `method`, its path in gRPC. Returns the headers that show the limits.
///
/// # Errors
/// 429 `RATE_LIMITED`.
pub(crate) async fn count(
    limits: &Limits,
    method: Option<&str>,
    user: Option<&User>,
    parts: &Parts,
) -> Result<Headers, Problem> {
    let address: Option<IpAddr> = parts.extensions.get::<ClientAddress>().map(|client| client.0);
    let subject = Subject {
        user: user.map(|user| user.id),
        tier: user.and_then(|user| user.tier.as_deref()),
        address,
    };
    let verdict = limits.take(method, subject).await;
    let headers = headers(&verdict);
    match verdict.admitted() {
        Ok(()) => Ok(headers),
        Err(refused) => Err(problem(&refused, headers)),
    }
}

/// Counts a call of a user that is no request, such as a subscription over a WebSocket.
///
/// # Errors
/// 429 `RATE_LIMITED`.
pub(crate) async fn count_user(limits: &Limits, user: Option<&User>) -> Result<(), Problem> {
    let subject = Subject {
        user: user.map(|user| user.id),
        tier: user.and_then(|user| user.tier.as_deref()),
        address: None,
    };
    let verdict = limits.take(None, subject).await;
    verdict.admitted().map_err(|refused| problem(&refused, Vec::new()))
}

fn headers(verdict: &Verdict) -> Headers {
    let header = |name, value: Option<String>| Some((name, HeaderValue::try_from(value?).ok()?));
    [
        header(RATE_LIMIT_POLICY, verdict.policy_header()),
        header(RATE_LIMIT, verdict.header_value()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn problem(refused: &Refused, headers: Headers) -> Problem {
    let message = format!("too many requests: the limit `{}` is used up", refused.limit);
    let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, message);
    problem.metadata.insert("limit".into(), refused.limit.to_string());
    problem.retry_after = Some(refused.retry_after);
    problem.headers = headers;
    problem
}
