//! What an operation answers.

use std::collections::BTreeSet;

use http::StatusCode;
use prost_reflect::Kind;
use quartet_proto::options::{self, Access, Reason};
use serde_json::{Value, json};

use super::body::is_http_body;
use super::errors::{self, Errors};
use super::schema::{Direction, Schemas, object_of};
use super::{Object, operation};
use crate::docs::comments::{Comments, first_sentence};
use crate::l10n::{self, Language};
use crate::problem::page;
use crate::routes::{Binding, BodyTarget};

/// Every response of a binding; `has_parameters` tells whether the request carries anything beside its body.
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
    for (status, reasons) in failures(binding, has_body, has_parameters, comments) {
        responses.insert(status.to_string(), failure(status, &reasons));
    }
    responses.insert(
        "default".into(),
        json!({"description": "Any other failure.", "content": problem_content(Object::new())}),
    );
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
    if output.fields().any(|field| options::cookie(&field).is_some()) {
        headers.insert(
            "Set-Cookie".into(),
            json!({"description": "The cookie, when asked for.", "schema": {"type": "string"}}),
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

/// The failures that the comment names, and those that any such request may meet.
fn failures(binding: &Binding, has_body: bool, has_parameters: bool, comments: &Comments) -> Errors {
    let mut all = errors::of(&binding.method, comments);
    let mut add = |status: u16, reasons: &[Reason]| {
        all.entry(status)
            .or_default()
            .extend(reasons.iter().map(|reason| reason.code().to_owned()));
    };
    add(400, &[Reason::BadRequest]);
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
    if binding
        .method
        .input()
        .fields()
        .any(|field| options::cookie(&field).is_some())
    {
        add(403, &[Reason::OriginNotAllowed]);
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

fn failure(status: u16, reasons: &BTreeSet<String>) -> Value {
    let mut lines = Vec::new();
    let mut examples = Object::new();
    for reason in reasons {
        let title = l10n::title(Language::English, reason).unwrap_or_else(|| reason.clone());
        let code = reason.to_ascii_lowercase();
        lines.push(format!("- `{code}`: {title}."));
        let summary = json!({"summary": title, "value": example(status, reason, &title)});
        examples.insert(code, summary);
    }
    json!({"description": lines.join("\n"), "content": problem_content(examples)})
}

fn problem_content(examples: Object) -> Value {
    let mut media = object_of([("schema", json!({"$ref": "#/components/schemas/Problem"}))]);
    if !examples.is_empty() {
        media.insert("examples".into(), examples.into());
    }
    json!({"application/problem+json": media})
}

fn example(status: u16, reason: &str, title: &str) -> Value {
    json!({
        "type": page::reference(reason),
        "title": title,
        "status": status,
        "detail": format!("{title}."),
        "instance": "/api/v1/…",
        "status_code": status,
        "message": format!("{title}."),
        "error_code": reason.to_ascii_lowercase(),
        "errors": [],
        "request_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    })
}

/// The schema of a problem document.
pub(super) fn problem_schema() -> Value {
    let error = json!({
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "Path of the field, as `todos[3].title`."},
            "rule": {"type": "string", "description": "The rule's name, as `STRING_MAX_LEN`."},
            "message": {"type": "string", "description": "The rule, in the client's language."},
        },
        "required": ["field", "rule", "message"],
    });
    let text = |description: &str| json!({"type": "string", "description": description});
    let status =
        |description: &str| json!({"type": "integer", "description": description, "minimum": 400, "maximum": 599});
    let properties = json!({
        "type": {"type": "string", "format": "uri-reference", "description": "Leads to what the code means."},
        "title": text("What is wrong, the same for every occurrence."),
        "status": status("The HTTP status."),
        "detail": text("What is wrong this time, in the client's language."),
        "instance": text("The path of the request."),
        "status_code": status("As `status`."),
        "message": text("As `detail`."),
        "error_code": text("The reason, for programs."),
        "errors": {"type": "array", "items": error, "description": "The fields that break their rules."},
        "request_id": text("Finds the request in the logs."),
    });
    let required: Vec<&str> = properties
        .as_object()
        .map(|all| all.keys().map(String::as_str).collect())
        .unwrap_or_default();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": required,
        "properties": properties,
    })
}

/// One line about an operation.
pub(super) fn summary(comment: &str, binding: &Binding) -> String {
    match first_sentence(comment) {
        "" => operation::id(binding, 0),
        sentence => sentence.to_owned(),
    }
}
