//! Every rule of a field in the contracts: when it is broken, over gRPC or over REST, the answer
//! names the field.
//!
//! The cases are generated from the descriptors, so a new rule cannot be forgotten.

use quartet_proto::options::{Access, access, edge};
use tonic::Code;

use crate::access_matrix::{channels, methods, service};
use quartet_tests::grpc::{call, fields, reason};
use quartet_tests::message::Known;
use quartet_tests::{App, on_every_topology, transcode, violation};

on_every_topology!(every_broken_rule_is_refused_and_its_field_reported);

/// Rules whose violation has another answer, and why.
fn is_excepted(method: &str, path: &str) -> bool {
    match (method, path) {
        // RFC 6749 §5.2 has an error of its own for it.
        ("Token", "grant_type") => true,
        // Checked with the refresh grant only, and these requests use the other one.
        ("Token", "refresh_token" | "mfa_token" | "otp") => true,
        _ => false,
    }
}

async fn every_broken_rule_is_refused_and_its_field_reported(app: App) {
    let channels = channels(&app).await;
    let root = app.superuser().await;
    let service_token = app.service_token("quartet");
    let known = Known::from([("user_id", root.id.clone()), ("path", "/api/v1/todos".into())]);
    let mut wrong = Vec::new();
    let mut cases = 0;
    for method in methods() {
        let is_internal = access(&method) == Some(Access::Service);
        let token = if is_internal {
            &service_token
        } else {
            &root.access_token
        };
        for violation in violation::of(&method.input(), &known) {
            if is_excepted(method.name(), &violation.path) {
                continue;
            }
            let name = format!("{} {} {}", method.full_name(), violation.path, violation.what);
            cases += 1;
            match call(&channels[service(&method)], &method, &violation.message, Some(token)).await {
                Err(status) if status.code() == Code::InvalidArgument && reason(&status) == "VALIDATION_FAILED" => {
                    if !fields(&status).iter().any(|field| is_about(field, &violation.path)) {
                        wrong.push(format!("{name}: names {:?}", fields(&status)));
                    }
                }
                Err(status) => wrong.push(format!("{name}: {:?} {}", status.code(), reason(&status))),
                Ok(_) => wrong.push(format!("{name}: answered")),
            }
            let Some(call) = transcode::call(&method, &violation.message) else {
                continue;
            };
            // An empty variable is another path, or none.
            if call.path.contains("//") || call.path.contains("/:") || call.path.ends_with('/') {
                continue;
            }
            let request = root.call(call.method, &call.path);
            let request = if let Some(body) = &call.body {
                request.json(body)
            } else {
                request
            };
            let request = match &call.if_match {
                Some(etag) => request.header("if-match", etag),
                None => request,
            };
            let reply = request.send().await;
            cases += 1;
            // An endpoint of OAuth 2.0 has the statuses of that.
            let status = if edge(&method).oauth { 400 } else { 422 };
            let named = reply.status == status
                && reply.json()["errors"].as_array().is_some_and(|errors| {
                    errors
                        .iter()
                        .any(|error| is_about(error["field"].as_str().unwrap_or_default(), &violation.path))
                });
            if !named {
                wrong.push(format!("{name} over REST: {} {}", reply.status, reply.text()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} cases are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases > 200, "only {cases} cases");
}

/// Whether a field of the answer is the one that breaks its rule: itself, an item of it, or, over
/// REST, the same field within the body.
fn is_about(named: &str, path: &str) -> bool {
    let whole = named == path || named.strip_prefix(path).is_some_and(|rest| rest.starts_with('['));
    whole || path.split_once('.').is_some_and(|(_, inner)| is_about(named, inner))
}
