//! What an operation answers.

use http::StatusCode;
use prost_reflect::Kind;
use quartet_proto::options::{self, Access, FreshProof, Idempotency, Reason};
use serde_json::{Value, json};

use super::direction::Direction;
use super::errors::{self, Errors};
use super::object::{Object, object_of};
use super::parameters::takes_key;
use super::problems;
use super::schema::Schemas;
use crate::comments::Comments;
use crate::problem;
use crate::routes::{Binding, BodyTarget};
use crate::transcode::known::is_http_body;

/// Every response of a binding; `has_parameters` is set when the request carries anything beside
/// its body.
pub(super) fn describe(
    binding: &Binding,
    has_body: bool,
    has_parameters: bool,
    comments: &Comments,
    schemas: &mut Schemas<'_>,
) -> Value {
    let edge = options::edge(&binding.method);
    let status = if edge.status == 0 { 200 } else { edge.status };
    let mut responses = Object::new();
    responses.insert(status.to_string(), success(binding, status, schemas));
    if options::cache(&binding.method).is_some() {
        let description = "The client has the reply already: its `If-None-Match` names the reply's `ETag`.";
        responses.insert("304".into(), json!({"description": description}));
    }
    let mut failures = failures(binding, has_body, has_parameters, comments);
    if edge.oauth {
        failures = for_oauth(failures);
    }
    for (status, reasons) in failures {
        responses.insert(status.to_string(), schemas.problems.response(status, &reasons));
    }
    responses.insert("default".into(), problems::any());
    if edge.oauth {
        responses.values_mut().for_each(problems::also_as_json);
    }
    responses.into()
}

fn success(binding: &Binding, status: u32, schemas: &mut Schemas<'_>) -> Value {
    let output = binding.method.output();
    let mut headers = Object::new();
    let edge = options::edge(&binding.method);
    if !edge.location.is_empty() {
        let schema = json!({"type": "string", "format": "uri-reference"});
        headers.insert(
            "Location".into(),
            json!({"description": "Where the new resource is.", "schema": schema}),
        );
    }
    if options::cache(&binding.method).is_some() {
        headers.insert(
            "ETag".into(),
            json!({"description": "The version of the reply, for `If-None-Match`.", "schema": {"type": "string"}}),
        );
    }
    if output.fields().any(|field| options::cookie(&field).is_some()) {
        headers.insert(
            "Set-Cookie".into(),
            json!({"description": "The cookie, when it was requested.", "schema": {"type": "string"}}),
        );
    }
    if binding.response_body.is_none() && output.get_field_by_name("etag").is_some() {
        headers.insert(
            "ETag".into(),
            json!({"description": "The version of what is shown, for `If-Match`.", "schema": {"type": "string"}}),
        );
    }
    if options::idempotency(&binding.method) == Idempotency::Kept {
        headers.insert(
            "Idempotency-Replayed".into(),
            json!({
                "description": "Set on the reply to a repeat, which was kept of the first request with its key.",
                "schema": {"type": "string", "enum": ["true"]},
            }),
        );
    }
    let code = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let mut description = schemas.comments.message(&output).to_owned();
    if description.is_empty() || output.full_name().starts_with("google.") {
        code.and_then(|code| code.canonical_reason())
            .unwrap_or("Done")
            .clone_into(&mut description);
    }
    let mut object = object_of([("description", json!(description))]);
    if !headers.is_empty() {
        object.insert("headers".into(), headers.into());
    }
    if status != 204 {
        object.insert("content".into(), content(binding, schemas));
    }
    object.into()
}

fn content(binding: &Binding, schemas: &mut Schemas<'_>) -> Value {
    let output = binding.method.output();
    let schema = match &binding.response_body {
        Some(field) => {
            if let Kind::Message(message) = field.kind()
                && is_http_body(&message)
            {
                return json!({"*/*": {"schema": {"contentMediaType": "application/octet-stream"}}});
            }
            schemas.field(field, Direction::Output)
        }
        None if is_http_body(&output) => {
            return json!({"*/*": {"schema": {"contentMediaType": "application/octet-stream"}}});
        }
        None => schemas.reference(&output, Direction::Output),
    };
    if !binding.method.is_server_streaming() {
        return json!({"application/json": {"schema": schema}});
    }
    json!({
        "application/json": {"schema": {"type": "array", "items": schema}},
        "application/x-ndjson": {"schema": schema},
        "text/event-stream": {"schema": {"type": "string"}},
    })
}

/// The failures of an endpoint of OAuth 2.0, by the statuses that they have there.
fn for_oauth(failures: Errors) -> Errors {
    let mut all = Errors::new();
    for (status, reasons) in failures {
        for reason in reasons {
            let status = problem::oauth_status(status, &reason);
            all.entry(status).or_default().insert(reason);
        }
    }
    all
}

/// The failures that the comment names, and those that any such request may meet.
fn failures(binding: &Binding, has_body: bool, has_parameters: bool, comments: &Comments) -> Errors {
    let mut all = errors::of(&binding.method, comments);
    let mut add = |status: u16, reasons: &[Reason]| {
        all.entry(status)
            .or_default()
            .extend(reasons.iter().map(|reason| reason.code().to_owned()));
    };
    add(400, &[Reason::BadRequest]);
    add(429, &[Reason::RateLimited]);
    match options::access(&binding.method) {
        Some(Access::Public) => {}
        access => {
            add(
                401,
                &[
                    Reason::TokenMissing,
                    Reason::TokenInvalid,
                    Reason::TokenExpired,
                    Reason::TokenRevoked,
                ],
            );
            if access == Some(Access::Superuser) {
                add(403, &[Reason::PermissionDenied]);
            }
        }
    }
    if matches!(
        options::fresh_proof(&binding.method),
        FreshProof::Required | FreshProof::ByRequest
    ) {
        add(401, &[Reason::InsufficientUserAuthentication]);
    }
    if binding
        .method
        .input()
        .fields()
        .any(|field| options::cookie(&field).is_some())
    {
        add(403, &[Reason::OriginNotAllowed]);
    }
    if options::precondition_required(&binding.method) {
        add(428, &[Reason::PreconditionRequired]);
    }
    if takes_key(binding) {
        add(409, &[Reason::IdempotencyKeyInUse]);
        add(422, &[Reason::IdempotencyKeyReused]);
    }
    if options::idempotency(&binding.method) == Idempotency::Refused {
        add(400, &[Reason::IdempotencyKeyRefused]);
    }
    if !matches!(binding.body, BodyTarget::None) {
        add(400, &[Reason::MalformedJson]);
        add(413, &[Reason::BodyTooLarge]);
        add(415, &[Reason::UnsupportedMediaType]);
    }
    if has_body || has_parameters || !matches!(binding.body, BodyTarget::None) {
        add(422, &[Reason::ValidationFailed]);
    }
    all
}
