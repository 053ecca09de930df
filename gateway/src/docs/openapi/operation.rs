//! One binding as an operation.

use quartet_proto::options::{self, Access, FreshProof, LimitKey};
use serde_json::{Value, json};

use super::errors::MARK;
use super::object::object_of;
use super::path::Path;
use super::schema::Schemas;
use super::{body, parameters, responses, security};
use crate::comments::{Comments, first_sentence};
use crate::routes::Binding;
use crate::transcode::known::is_http_body;

/// The methods of HTTP that a path item can describe, of those that the binding takes.
pub(super) fn verbs(binding: &Binding) -> Vec<String> {
    const KNOWN: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    if binding.verb == "*" {
        return ["get", "put", "post", "delete", "patch"].map(str::to_owned).into();
    }
    let verb = binding.verb.to_ascii_lowercase();
    if KNOWN.contains(&verb.as_str()) {
        vec![verb]
    } else {
        Vec::new()
    }
}

/// The group of an operation: its service, such as `Todo` for `TodoService`.
pub(super) fn tag(binding: &Binding) -> String {
    let name = binding.method.parent_service().name();
    name.strip_suffix("Service")
        .filter(|name| !name.is_empty())
        .unwrap_or(name)
        .to_owned()
}

/// The id of a binding, of which `before` bindings of the same method come first.
pub(super) fn id(binding: &Binding, before: usize) -> String {
    let id = format!("{}_{}", binding.method.parent_service().name(), binding.method.name());
    if before == 0 {
        id
    } else {
        format!("{id}_{}", before + 1)
    }
}

/// Describes a binding.
pub(super) fn describe(
    binding: &Binding,
    path: &Path,
    before: usize,
    comments: &Comments,
    schemas: &mut Schemas<'_>,
    has_token_url: bool,
) -> Value {
    let comment = comments.method(&binding.method);
    let edge = options::edge(&binding.method);
    let mut operation = object_of([
        ("tags", json!([tag(binding)])),
        ("operationId", json!(id(binding, before))),
        ("summary", json!(summary(comment, binding))),
    ]);
    let description = description(comment, binding);
    if !description.is_empty() {
        operation.insert("description".into(), json!(description));
    }
    if edge.deprecation.is_some() {
        operation.insert("deprecated".into(), json!(true));
    }
    let parameters = parameters::describe(binding, path, schemas);
    let has_parameters = !parameters.is_empty();
    if has_parameters {
        operation.insert("parameters".into(), parameters.into());
    }
    let body = body::describe(binding, schemas);
    let has_body = body.is_some();
    operation.extend(body.map(|body| ("requestBody".to_owned(), body)));
    operation.insert(
        "responses".into(),
        responses::describe(binding, has_body, has_parameters, comments, schemas),
    );
    operation.insert("security".into(), security::of(binding, has_token_url));
    let limits: Vec<Value> = options::limits(&binding.method)
        .into_iter()
        .map(|limit| json!({"name": limit.name, "calls": limit.calls, "period": limit.period_seconds}))
        .collect();
    if !limits.is_empty() {
        operation.insert("x-rate-limits".into(), limits.into());
    }
    let fresh_proof = match options::fresh_proof(&binding.method) {
        FreshProof::Required => Some("required"),
        FreshProof::ByRequest => Some("by_request"),
        FreshProof::Included => Some("included"),
        FreshProof::Unspecified => None,
    };
    operation.extend(fresh_proof.map(|proof| ("x-fresh-proof".to_owned(), json!(proof))));
    let service = binding.method.parent_service().full_name();
    operation.insert(
        "x-grpc-method".into(),
        json!(format!("{service}/{}", binding.method.name())),
    );
    operation.into()
}

/// The first sentence of the comment. A summary is plain text, so the marks of code go.
fn summary(comment: &str, binding: &Binding) -> String {
    match first_sentence(comment) {
        "" => id(binding, 0),
        sentence => sentence.replace('`', ""),
    }
}

/// Whether the query may select fields of the reply: see `call::fields`.
fn takes_fields(binding: &Binding) -> bool {
    binding.verb == "GET"
        && binding.response_body.is_none()
        && !binding.method.is_server_streaming()
        && !is_http_body(&binding.method.output())
}

/// The comment without its first sentence, which is the summary, and without its errors, which
/// stand with the responses; and what the options add.
fn description(comment: &str, binding: &Binding) -> String {
    let rest = comment.strip_prefix(first_sentence(comment)).unwrap_or(comment);
    let mut paragraphs: Vec<String> = rest
        .trim_start_matches('.')
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with(MARK))
        .map(str::to_owned)
        .collect();
    if options::access(&binding.method) == Some(Access::Superuser) {
        paragraphs.push("For superusers only.".into());
    }
    match options::fresh_proof(&binding.method) {
        FreshProof::Required => paragraphs.push(
            "Demands a fresh proof of who calls: sign in, or call `/api/v1/auth/reauthenticate`, shortly before."
                .into(),
        ),
        FreshProof::ByRequest => {
            paragraphs.push("Some of its requests demand a fresh proof of who calls.".into());
        }
        FreshProof::Included | FreshProof::Unspecified => {}
    }
    if takes_fields(binding) {
        paragraphs.push("`?fields=` selects fields of the reply.".into());
    }
    for limit in options::limits(&binding.method) {
        let whose = match limit.key() {
            LimitKey::Address => "per client address",
            LimitKey::User | LimitKey::Unspecified => "per user",
        };
        paragraphs.push(format!(
            "Limited by `{}`: {} calls in {} seconds {whose}.",
            limit.name, limit.calls, limit.period_seconds
        ));
    }
    if let Some(deprecation) = options::edge(&binding.method).deprecation {
        let mut text = format!("Deprecated since {}.", deprecation.since);
        if !deprecation.sunset.is_empty() {
            text.push_str(&format!(" May be removed after {}.", deprecation.sunset));
        }
        if !deprecation.successor.is_empty() {
            text.push_str(&format!(" Use `{}` instead.", deprecation.successor));
        }
        if !deprecation.link.is_empty() {
            text.push_str(&format!(" See {}.", deprecation.link));
        }
        paragraphs.push(text);
    }
    paragraphs.join("\n\n")
}
