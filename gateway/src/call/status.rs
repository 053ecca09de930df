//! A gRPC status as a problem.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use quartet_proto::options::Reason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::problem::{Problem, Violation};
use crate::routes::{Binding, BodyTarget};

/// The problem for `status`. HTTP statuses follow the comments of `google.rpc.Code`, with two
/// differences: a field that breaks its rule is 422, and a cancelled call 499.
pub fn to_problem(status: &Status) -> Problem {
    let details = status.get_error_details();
    let code = status.code();
    let info = details.error_info();
    let named = details
        .bad_request()
        .is_some_and(|bad| !bad.field_violations.is_empty());
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
    let violations: Vec<Violation> = details
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
        retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        headers: Vec::new(),
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
    let was_sent = problem.is_about_access_token() && headers.contains_key(header::AUTHORIZATION);
    if problem.status == StatusCode::UNAUTHORIZED && was_sent {
        // RFC 6750 §3.1
        problem.headers.retain(|(name, _)| name != header::WWW_AUTHENTICATE);
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        problem.headers.push((header::WWW_AUTHENTICATE, challenge));
    }
    problem
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
        Code::InvalidArgument if reason == Reason::ValidationFailed.code() => StatusCode::UNPROCESSABLE_ENTITY,
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

/// 504 `DEADLINE_EXCEEDED`.
pub(super) fn expired() -> Problem {
    to_problem(&Status::deadline_exceeded("the time for the request is over"))
}

/// 500 `INTERNAL`; `why` goes to the logs alone.
pub(super) fn internal(why: &str) -> Problem {
    tracing::error!(why, "the gateway failed");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Reason::Internal,
        "something failed inside",
    )
}
