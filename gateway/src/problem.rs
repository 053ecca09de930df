//! What went wrong, before it is written for a client: one type for failures of the edge and of the
//! services.

mod oauth;
pub mod page;
pub(crate) mod render;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use quartet_proto::options::Reason;
use serde::Serialize;

use crate::edge::RouteTemplate;

pub use oauth::OAuthError;
pub(crate) use oauth::status as oauth_status;

/// A failed request. The edge renders it as `application/problem+json` (RFC 9457) in the client's
/// language.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Status of the reply.
    pub status: StatusCode,
    /// Reason for programs, in upper case, such as `TODO_NOT_FOUND`: `google.rpc.ErrorInfo.reason`.
    pub reason: String,
    /// What the reason is about, for the localised message: `google.rpc.ErrorInfo.metadata`.
    pub metadata: BTreeMap<String, String>,
    /// The English message to show when no translation of the reason exists.
    pub message: String,
    /// Fields that break their rules.
    pub violations: Vec<Violation>,
    /// Further details of a status, if there are any.
    pub details: Option<Box<Details>>,
    /// When to try again: the `Retry-After` header.
    pub retry_after: Option<Duration>,
    /// Further headers of the reply, such as `Allow` and `WWW-Authenticate`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The error code for OAuth 2.0 clients, at an endpoint of theirs.
    pub oauth: Option<OAuthError>,
    /// The route that the request took, where it took one of the API.
    pub route: Option<RouteTemplate>,
}

/// Further details of a status, each an object with its `@type`. Boxed, since few problems have any,
/// and a problem is the failure of most functions.
#[derive(Debug, Clone, Serialize)]
pub struct Details(pub Vec<serde_json::Value>);

/// A field that breaks its rule.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Path of the field, such as `todos[3].title`.
    pub field: String,
    /// The rule in upper case, such as `STRING_MAX_LEN`; empty when unnamed.
    pub rule: String,
    /// The rule in English.
    pub description: String,
}

impl Problem {
    /// A problem of the edge itself.
    pub fn new(status: StatusCode, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.code().to_owned(),
            metadata: BTreeMap::new(),
            message: message.into(),
            violations: Vec::new(),
            details: None,
            retry_after: None,
            headers: Vec::new(),
            oauth: None,
            route: None,
        }
    }

    /// The request itself is not understood, because of `cause`, for which the texts have a
    /// sentence: 400 `BAD_REQUEST`.
    pub(crate) fn bad_request(cause: &str, message: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, Reason::BadRequest, message);
        problem.metadata.insert("cause".to_owned(), cause.to_owned());
        problem
    }

    /// A field of the request breaks a rule: 422 `VALIDATION_FAILED`.
    pub fn field(field: impl Into<String>, rule: &str, description: impl Into<String>) -> Self {
        Self::violated(vec![Violation {
            field: field.into(),
            rule: rule.to_owned(),
            description: description.into(),
        }])
    }

    /// Fields of the request break rules: 422 `VALIDATION_FAILED`.
    pub(crate) fn violated(violations: Vec<Violation>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, Reason::ValidationFailed, "");
        problem.violations = violations;
        problem.summarize_violations();
        problem
    }

    /// Makes the message of a `VALIDATION_FAILED` from its first violation. Any other message is
    /// not about fields.
    pub(crate) fn summarize_violations(&mut self) {
        if self.reason != Reason::ValidationFailed.code() {
            return;
        }
        if let Some(first) = self.violations.first() {
            self.message = first.to_string();
        }
    }

    /// Whether the access token is missing or does not count.
    pub(crate) fn is_about_access_token(&self) -> bool {
        let reasons = [
            Reason::TokenMissing,
            Reason::TokenInvalid,
            Reason::TokenExpired,
            Reason::TokenRevoked,
        ];
        reasons.into_iter().any(|reason| self.reason == reason.code())
    }
}

impl fmt::Display for Violation {
    /// The field and the rule; the rule alone when the whole body breaks it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.description)
    }
}

impl IntoResponse for Problem {
    /// A reply without a body that carries the problem; the edge writes it in the client's language
    /// on the way out.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(route) = &self.route {
            response.extensions_mut().insert(route.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}
