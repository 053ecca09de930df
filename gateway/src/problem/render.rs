//! Writes a problem as `application/problem+json` (RFC 9457), in the client's language.

use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use quartet_proto::options::Reason;
use quartet_rpc::failure::OMITTED;
use serde::Serialize;

use super::{Details, OAuthError, Problem, Violation, page};
use crate::l10n::{self, Language};
use crate::request_id;

/// Media type of problem documents.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Media type of the failures of OAuth 2.0.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const ERROR_TIME: HeaderName = HeaderName::from_static("x-errorhandletime");

/// What of the request a problem document repeats.
pub(crate) struct Context {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) language: Language,
    pub(crate) request_id: String,
}

/// A problem document. `status_code`, `message` and `error_code` repeat `status`, `detail` and the
/// reason under the names that clients of earlier interfaces use.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    instance: &'a str,
    status_code: u16,
    message: &'a str,
    error_code: String,
    errors: Vec<FieldError<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    /// What the next step of a login takes, where this one is refused for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_token: Option<&'a str>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct FieldError<'a> {
    field: &'a str,
    rule: &'a str,
    message: String,
}

/// Marks an error reply that has its own body, such as a probe's report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written;

/// Writes the problem that `response` carries into its body. An error reply without one, whoever
/// made it, becomes the problem of its status; any other reply stays as it is.
pub(crate) fn finish(mut response: Response, context: &Context) -> Response {
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if is_unwritten_error(&response) => of_status(response.status(), context),
        None => return response,
    };
    let started = Instant::now();
    let body = document(&problem, context);
    let (mut parts, _) = response.into_parts();
    parts.status = problem.status;
    set_headers(&mut parts.headers, &problem, context);
    if let Ok(elapsed) = HeaderValue::try_from(format!("{:.6}", started.elapsed().as_secs_f64())) {
        parts.headers.insert(ERROR_TIME, elapsed);
    }
    Response::from_parts(parts, Body::from(body))
}

/// The document of a problem that ends a stream, as its last element.
pub(crate) fn for_stream(problem: &Problem, headers: &HeaderMap) -> Bytes {
    let context = Context {
        method: Method::GET,
        path: String::new(),
        language: Language::preferred(headers),
        request_id: request_id::of(headers).to_owned(),
    };
    document(problem, &context).into()
}

fn is_unwritten_error(response: &Response) -> bool {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    is_error && response.extensions().get::<Written>().is_none()
}

fn set_headers(headers: &mut HeaderMap, problem: &Problem, context: &Context) {
    headers.remove(CONTENT_LENGTH);
    headers.insert(
        CONTENT_TYPE,
        match problem.oauth {
            None => MEDIA_TYPE,
            Some(_) => JSON,
        },
    );
    headers.insert(CONTENT_LANGUAGE, context.language.header());
    headers.append(VARY, HeaderValue::from_static("accept-language"));
    if let Some(seconds) = retry_after(problem) {
        headers.insert(RETRY_AFTER, seconds);
    }
    for (name, value) in &problem.headers {
        headers.append(name, value.clone());
    }
}

/// The seconds of `Retry-After`, rounded up: a client that waits that long must not be early.
pub(crate) fn retry_after(problem: &Problem) -> Option<HeaderValue> {
    let delay = problem.retry_after?;
    let seconds = delay.as_nanos().div_ceil(1_000_000_000).min(u128::from(u32::MAX)) as u64;
    Some(HeaderValue::from(seconds))
}

fn document(problem: &Problem, context: &Context) -> Vec<u8> {
    let language = context.language;
    let errors: Vec<_> = problem
        .violations
        .iter()
        .map(|violation| field_error(violation, language))
        .collect();
    let title = l10n::title(language, &problem.reason)
        .unwrap_or_else(|| problem.status.canonical_reason().unwrap_or("Error").to_owned());
    let detail = detail(problem, &errors, context);
    let document = Document {
        kind: page::reference(&problem.reason),
        title: &title,
        status: problem.status.as_u16(),
        detail: &detail,
        instance: &context.path,
        status_code: problem.status.as_u16(),
        message: &detail,
        error_code: problem.reason.to_ascii_lowercase(),
        errors,
        details: problem.details.as_deref(),
        challenge: challenge(problem).filter(|_| problem.oauth.is_none()),
        error: problem.oauth.map(OAuthError::code),
        error_description: problem.oauth.map(|_| plain(&problem.message)),
        mfa_token: challenge(problem).filter(|_| problem.oauth.is_some()),
        request_id: &context.request_id,
    };
    // Strings and numbers always have a JSON form.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// A text of the characters that RFC 6749 §5.2 allows.
fn plain(text: &str) -> String {
    let allowed = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    text.chars().map(|c| if allowed(c) { c } else { '\'' }).collect()
}

fn challenge(problem: &Problem) -> Option<&str> {
    let has_one = problem.reason == Reason::MfaRequired.code();
    has_one.then(|| problem.metadata.get("challenge").map(String::as_str))?
}

/// The sentence about a problem, for a page.
pub(crate) fn explain(problem: &Problem, language: Language) -> String {
    let errors: Vec<_> = problem
        .violations
        .iter()
        .map(|violation| field_error(violation, language))
        .collect();
    let context = Context {
        method: Method::POST,
        path: String::new(),
        language,
        request_id: String::new(),
    };
    detail(problem, &errors, &context)
}

/// The rule that a field breaks, for a page.
pub(crate) fn rule_text(violation: &Violation, language: Language) -> String {
    field_error(violation, language).message
}

/// The sentence about this occurrence: translated by reason and metadata, else the problem's own
/// message.
fn detail(problem: &Problem, errors: &[FieldError<'_>], context: &Context) -> String {
    let mut metadata = problem.metadata.clone();
    metadata
        .entry("method".into())
        .or_insert_with(|| context.method.to_string());
    if let [first, rest @ ..] = errors {
        let first = if first.field.is_empty() {
            first.message.clone()
        } else {
            format!("{}: {}", first.field, first.message)
        };
        metadata.insert("first".into(), first);
        // A service lists a bounded number of broken rules and counts the others.
        let omitted = metadata
            .remove(OMITTED)
            .and_then(|count| count.parse().ok())
            .unwrap_or(0);
        metadata.insert("more".into(), (rest.len() + omitted).to_string());
    }
    l10n::detail(context.language, &problem.reason, &problem.message, &metadata)
        .unwrap_or_else(|| problem.message.clone())
}

fn field_error<'a>(violation: &'a Violation, language: Language) -> FieldError<'a> {
    let translated = l10n::rule(language, &violation.rule, &violation.description);
    FieldError {
        field: &violation.field,
        rule: &violation.rule,
        message: translated.unwrap_or_else(|| violation.description.clone()),
    }
}

/// The problem of a reply that has only a status.
fn of_status(status: StatusCode, context: &Context) -> Problem {
    let reason = match status {
        StatusCode::UNAUTHORIZED => Reason::TokenMissing,
        StatusCode::FORBIDDEN => Reason::PermissionDenied,
        StatusCode::NOT_FOUND => Reason::RouteNotFound,
        StatusCode::METHOD_NOT_ALLOWED => Reason::MethodNotAllowed,
        StatusCode::NOT_ACCEPTABLE => Reason::NotAcceptable,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Reason::DeadlineExceeded,
        StatusCode::PAYLOAD_TOO_LARGE => Reason::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Reason::UnsupportedMediaType,
        StatusCode::TOO_MANY_REQUESTS => Reason::RateLimited,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Reason::Unavailable,
        status if status.is_client_error() => Reason::BadRequest,
        _ => Reason::Internal,
    };
    Problem::new(
        status,
        reason,
        match status.canonical_reason() {
            Some(text) => format!("{} {}: {text}", context.method, context.path),
            None => format!("{} {}", context.method, context.path),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn write(reply: impl IntoResponse, language: Language) -> (http::response::Parts, Value) {
        let context = Context {
            method: Method::PUT,
            path: "/api/v1/todos/7".into(),
            language,
            request_id: "r-1".into(),
        };
        let (parts, body) = finish(reply.into_response(), &context).into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn a_problem_is_written_in_the_language_of_the_client() {
        let problem = Problem::new(StatusCode::NOT_FOUND, Reason::TodoNotFound, "no todo 7");
        let (parts, document) = write(problem, Language::Russian).await;
        assert_eq!(parts.status, 404);
        assert_eq!(parts.headers["content-type"], "application/problem+json");
        assert_eq!(parts.headers["content-language"], "ru");
        assert_eq!(parts.headers["vary"], "accept-language");
        let expected = json!({
            "type": "/problems/todo_not_found", "title": "Задача не найдена", "status": 404,
            "detail": "Такой задачи нет.", "instance": "/api/v1/todos/7", "status_code": 404,
            "message": "Такой задачи нет.", "error_code": "todo_not_found", "errors": [], "request_id": "r-1",
        });
        assert_eq!(document, expected);
        assert!(
            parts.headers["x-errorhandletime"]
                .to_str()
                .unwrap()
                .split_once('.')
                .unwrap()
                .1
                .len()
                == 6
        );
    }

    #[tokio::test]
    async fn broken_rules_are_listed_and_translated_where_known() {
        let mut problem = Problem::field("title", "STRING_MAX_LEN", "must be at most 100 characters");
        problem.violations.push(Violation {
            field: "x".into(),
            rule: "NEW_RULE".into(),
            description: "is odd".into(),
        });
        let (_, document) = write(problem.clone(), Language::Russian).await;
        assert_eq!(
            document["errors"][0],
            json!({"field": "title", "rule": "STRING_MAX_LEN", "message": "не больше 100 символов"})
        );
        assert_eq!(document["errors"][1]["message"], "is odd");
        assert_eq!(document["detail"], "title: не больше 100 символов (и ещё 1)");
        let (_, document) = write(problem.clone(), Language::English).await;
        assert_eq!(document["detail"], "title: must be at most 100 characters (and 1 more)");
        problem.violations.pop();
        let (_, document) = write(problem, Language::English).await;
        assert_eq!(document["detail"], "title: must be at most 100 characters");
    }

    #[tokio::test]
    async fn further_details_are_written_as_they_are() {
        let mut problem = Problem::new(StatusCode::CONFLICT, Reason::Internal, "no");
        let (_, document) = write(problem.clone(), Language::English).await;
        assert!(document.get("details").is_none());
        let details = vec![json!({"@type": "t/google.rpc.Help", "links": []})];
        problem.details = Some(Box::new(Details(details.clone())));
        let (_, document) = write(problem, Language::English).await;
        assert_eq!(document["details"], json!(details));
    }

    #[tokio::test]
    async fn an_unknown_reason_keeps_its_own_message() {
        let mut problem = Problem::new(StatusCode::CONFLICT, Reason::Internal, "the boat is full");
        problem.reason = "BOAT_FULL".into();
        let (_, document) = write(problem, Language::Russian).await;
        assert_eq!(document["detail"], "the boat is full");
        assert_eq!(document["title"], "Conflict");
        assert_eq!(document["error_code"], "boat_full");
    }

    #[tokio::test]
    async fn an_error_that_somebody_else_wrote_becomes_a_problem() {
        let (parts, document) = write(
            (StatusCode::METHOD_NOT_ALLOWED, [("allow", "GET")], "no"),
            Language::English,
        )
        .await;
        assert_eq!(
            (parts.headers["allow"].to_str().unwrap(), &document["error_code"]),
            ("GET", &json!("method_not_allowed"))
        );
        assert_eq!(document["detail"], "This address does not take PUT.");
        let (parts, _) = write((StatusCode::OK, "fine"), Language::English).await;
        assert_eq!(parts.headers["content-type"], "text/plain; charset=utf-8");
    }

    #[tokio::test]
    async fn the_wait_is_rounded_up_to_seconds() {
        let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, "slow down");
        for (delay, seconds) in [
            (Duration::from_millis(1_001), "2"),
            (Duration::new(1, 1), "2"),
            (Duration::from_secs(1), "1"),
        ] {
            problem.retry_after = Some(delay);
            let (parts, _) = write(problem.clone(), Language::English).await;
            assert_eq!(parts.headers["retry-after"], seconds);
        }
    }
}
