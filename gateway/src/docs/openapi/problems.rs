//! Problem documents: their schema, and an example of each failure of an operation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::object::{Object, object_of};
use crate::l10n::{self, Language};
use crate::problem::page;

/// Examples of problems, shared by all operations.
#[derive(Default)]
pub(super) struct Problems {
    examples: BTreeMap<String, Value>,
}

impl Problems {
    /// The response of a status, and the reasons that lead to it.
    pub(super) fn response(&mut self, status: u16, reasons: &BTreeSet<String>) -> Value {
        let mut lines = Vec::new();
        let mut examples = Object::new();
        for reason in reasons {
            let title = l10n::title(Language::English, reason).unwrap_or_else(|| reason.clone());
            let code = reason.to_ascii_lowercase();
            lines.push(format!("`{code}`: {title}."));
            examples.insert(code.clone(), self.example(status, reason, &code, &title));
        }
        // No list: Redoc shows the marks of one.
        json!({"description": lines.join(" "), "content": content(examples)})
    }

    /// A reference to the example of a reason. One reason may go with several statuses.
    fn example(&mut self, status: u16, reason: &str, code: &str, title: &str) -> Value {
        let value = json!({"summary": title, "value": document(status, reason, title)});
        let known = self.examples.get(code).is_some_and(|known| *known != value);
        let name = if known {
            format!("{code}_{status}")
        } else {
            code.to_owned()
        };
        let reference = json!({"$ref": format!("#/components/examples/{name}")});
        self.examples.insert(name, value);
        reference
    }

    /// Every example that an operation refers to.
    pub(super) fn examples(&self) -> Value {
        json!(self.examples)
    }
}

/// The response to any failure that no operation names.
pub(super) fn any() -> Value {
    json!({"description": "Any other failure.", "content": content(Object::new())})
}

/// A response with a problem, which comes as plain JSON as well: at an endpoint of OAuth 2.0.
pub(super) fn also_as_json(response: &mut Value) {
    if let Some(content) = response["content"].as_object_mut()
        && let Some(problem) = content.get("application/problem+json").cloned()
    {
        content.insert("application/json".into(), problem);
    }
}

fn content(examples: Object) -> Value {
    let mut media = object_of([("schema", json!({"$ref": "#/components/schemas/Problem"}))]);
    if !examples.is_empty() {
        media.insert("examples".into(), examples.into());
    }
    json!({"application/problem+json": media})
}

fn document(status: u16, reason: &str, title: &str) -> Value {
    json!({
        "type": page::reference(reason),
        "title": title,
        "status": status,
        "detail": format!("{title}."),
        "instance": "/api/v1/todos",
        "status_code": status,
        "message": format!("{title}."),
        "error_code": reason.to_ascii_lowercase(),
        "errors": [],
        "request_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    })
}

/// The members of a problem document that not every one has.
const OPTIONAL: [&str; 4] = ["challenge", "error", "error_description", "mfa_token"];

/// The schema of a problem document.
pub(super) fn schema() -> Value {
    let error = json!({
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "Path of the field, such as `todos[3].title`."},
            "rule": {"type": "string", "description": "The rule's name, such as `STRING_MAX_LEN`."},
            "message": {"type": "string", "description": "The rule, in the client's language."},
        },
        "required": ["field", "rule", "message"],
    });
    let text = |description: &str| json!({"type": "string", "description": description});
    let status =
        |description: &str| json!({"type": "integer", "description": description, "minimum": 400, "maximum": 599});
    let mut properties = json!({
        "type": {"type": "string", "format": "uri-reference", "description": "A page that explains the code."},
        "title": text("What is wrong, the same for every occurrence."),
        "status": status("The HTTP status."),
        "detail": text("What is wrong this time, in the client's language."),
        "instance": text("The path of the request."),
        "status_code": status("Equal to `status`."),
        "message": text("Equal to `detail`."),
        "error_code": text("The reason, for programs."),
        "errors": {"type": "array", "items": error, "description": "The fields that break their rules."},
        "request_id": text("Finds the request in the logs."),
        "challenge": text("Beside `mfa_required`: what the next step of the login takes with the code."),
        "error": text("At an endpoint of OAuth 2.0: its error code (RFC 6749 §5.2)."),
        "error_description": text("Beside `error`: what is wrong, in English."),
        "mfa_token": text("Beside the `error` `mfa_required`: what the grant `urn:quartet:grant-type:mfa-otp` takes."),
    });
    let required: Vec<&str> = properties
        .as_object()
        .map(|all| {
            all.keys()
                .map(String::as_str)
                .filter(|name| !OPTIONAL.contains(name))
                .collect()
        })
        .unwrap_or_default();
    let required = json!(required);
    properties["details"] = json!({
        "type": "array",
        "items": {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]},
        "description": "What else the service has to add, such as a `google.rpc.QuotaFailure`.",
    });
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": required,
        "properties": properties,
    })
}
