//! A gRPC status as a problem.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use quartet_proto::options::Reason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::details;
use crate::problem::{Details, Problem, Violation};
use crate::routes::{Binding, BodyTarget};

/// When to try again what is unavailable, where the service gives no time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The problem for `status`. HTTP statuses follow the comments of `google.rpc.Code`, with a few
/// differences: a field that breaks its rule is 422, a cancelled call 499, and what its state
/// forbids is 409.
pub fn to_problem(status: &Status) -> Problem {
    let known = status.get_error_details();
    let code = status.code();
    let info = known.error_info();
    let named = known.bad_request().is_some_and(|bad| !bad.field_violations.is_empty());
    let reason = match info {
        Some(info) => info.reason.clone(),
        None if named && code == Code::InvalidArgument => Reason::ValidationFailed.code().to_owned(),
        None => default_reason(code).to_owned(),
    };
    let inner = matches!(code, Code::Unknown | Code::Internal | Code::DataLoss);
    let message = match (inner && info.is_none(), status.message()) {
        // The text of an unexpected failure is for the logs.
        (true, _) => "something failed inside".to_owned(),
        (false, "") => code.description().to_owned(),
        (false, message) => message.to_owned(),
    };
    if inner {
        tracing::warn!(?code, message = status.message(), "a backend failed");
    }
    let violations: Vec<Violation> = known
        .bad_request()
        .map(|bad| {
            bad.field_violations.iter().map(|violation| Violation {
                field: violation.field.clone(),
                rule: violation.reason.clone(),
                description: violation.description.clone(),
            })
        })
        .into_iter()
        .flatten()
        .collect();
    let mut problem = Problem {
        status: http_status(code, &reason),
        metadata: info
            .map(|info| info.metadata.clone().into_iter().collect())
            .unwrap_or_default(),
        reason,
        message,
        violations,
        // Those of an unexpected failure are for the logs.
        details: (!inner || info.is_some())
            .then(|| details::of(status))
            .filter(|details| !details.is_empty())
            .map(|details| Box::new(Details(details))),
        retry_after: known
            .retry_info()
            .and_then(|retry| retry.retry_delay)
            .or((code == Code::Unavailable).then_some(RETRY_AFTER)),
        headers: Vec::new(),
        oauth: None,
        route: None,
    };
    if problem.status == StatusCode::UNAUTHORIZED {
        problem
            .headers
            .push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    problem
}

/// Like [`to_problem`], in the terms of the request: fields are named from the body down, and the
/// challenge shows whether a token was sent.
pub(super) fn for_request(status: &Status, binding: &Binding, headers: &HeaderMap) -> Problem {
    let mut problem = to_problem(status);
    if let BodyTarget::Field(body) = &binding.body {
        for violation in &mut problem.violations {
            if let Some(inside) = inside(&violation.field, body.name()) {
                violation.field = inside.to_owned();
            }
        }
        problem.summarize_violations();
    }
    if problem.reason == Reason::InsufficientUserAuthentication.code() {
        problem.headers.retain(|(name, _)| name != header::WWW_AUTHENTICATE);
        problem.headers.push((header::WWW_AUTHENTICATE, step_up(&problem)));
        return problem;
    }
    let was_sent = problem.is_about_access_token() && headers.contains_key(header::AUTHORIZATION);
    if problem.status == StatusCode::UNAUTHORIZED && was_sent {
        // RFC 6750 §3.1
        problem.headers.retain(|(name, _)| name != header::WWW_AUTHENTICATE);
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        problem.headers.push((header::WWW_AUTHENTICATE, challenge));
    }
    problem
}

/// The challenge to prove once more who calls (RFC 9470 §3).
fn step_up(problem: &Problem) -> HeaderValue {
    let mut challenge = String::from(
        "Bearer error=\"insufficient_user_authentication\", \
         error_description=\"A more recent or stronger proof of who calls is required\"",
    );
    for name in ["max_age", "acr_values"] {
        let value = problem.metadata.get(name).filter(|value| is_plain(value));
        if let Some(value) = value {
            challenge.push_str(&format!(", {name}=\"{value}\""));
        }
    }
    HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// Whether a text may stand between quotation marks as it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" .:-_".contains(&byte))
}

/// `title` for `todo.title` and `[3].title` for `todo[3].title` when the body is `todo`.
fn inside<'f>(field: &'f str, body: &str) -> Option<&'f str> {
    let rest = field.strip_prefix(body)?;
    rest.strip_prefix('.').or_else(|| rest.starts_with('[').then_some(rest))
}

/// The reason for a status that names none.
fn default_reason(code: Code) -> &'static str {
    match code {
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Reason::Internal.code(),
        Code::Cancelled => Reason::Cancelled.code(),
        Code::InvalidArgument | Code::OutOfRange => Reason::BadRequest.code(),
        Code::DeadlineExceeded => Reason::DeadlineExceeded.code(),
        Code::PermissionDenied => Reason::PermissionDenied.code(),
        Code::ResourceExhausted => Reason::RateLimited.code(),
        Code::Unavailable => Reason::Unavailable.code(),
        Code::Unauthenticated => Reason::TokenInvalid.code(),
        // The contracts have no reason for these; the code's own name is used.
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::Unimplemented => "UNIMPLEMENTED",
    }
}

pub(crate) fn http_status(code: Code, reason: &str) -> StatusCode {
    match code {
        Code::InvalidArgument
            if [Reason::ValidationFailed, Reason::IdempotencyKeyReused]
                .map(Reason::code)
                .contains(&reason) =>
        {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Code::Aborted if reason == Reason::EtagMismatch.code() => StatusCode::PRECONDITION_FAILED,
        Code::FailedPrecondition if reason == Reason::PreconditionRequired.code() => StatusCode::PRECONDITION_REQUIRED,
        // The request is right, and what it is about is in another state than it needs.
        Code::FailedPrecondition
            if [Reason::LastSuperuser, Reason::TaskEnded, Reason::TaskNotRetryable]
                .map(Reason::code)
                .contains(&reason) =>
        {
            StatusCode::CONFLICT
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        // A status of OK with no message is a backend that breaks the protocol.
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// 401 `TOKEN_MISSING`, the same as from the services.
pub(super) fn token_missing() -> Problem {
    let mut problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        Reason::TokenMissing,
        "an access token is required",
    );
    problem
        .headers
        .push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    problem
}

/// 428 `PRECONDITION_REQUIRED`, the same as from the services.
pub(super) fn precondition_required() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_REQUIRED,
        Reason::PreconditionRequired,
        "the etag of what is to be changed is required, as If-Match",
    )
}

/// 504 `DEADLINE_EXCEEDED`.
pub(super) fn expired() -> Problem {
    to_problem(&Status::deadline_exceeded("the time for the request is over"))
}

/// 500 `INTERNAL`; `why` goes to the logs alone.
pub(crate) fn internal(why: &str) -> Problem {
    tracing::error!(why, "the gateway failed");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Reason::Internal,
        "something failed inside",
    )
}
