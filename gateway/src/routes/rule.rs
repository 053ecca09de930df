//! The `google.api.http` annotation of a method, flattened: the rule and its additional bindings.

use prost::Message;
use prost_reflect::MethodDescriptor;
use quartet_proto::google::api::HttpRule;
use quartet_proto::google::api::http_rule::Pattern;

use super::RouteError;

/// One way to call a method over HTTP, unchecked.
pub(super) struct Rule {
    pub(super) verb: String,
    pub(super) template: String,
    pub(super) body: String,
    pub(super) response_body: String,
}

/// The rules of `method`, none when it is not annotated.
pub(super) fn rules(method: &MethodDescriptor) -> Result<Vec<Rule>, RouteError> {
    let Some(extension) = method.parent_pool().get_extension_by_name("google.api.http") else {
        return Ok(Vec::new());
    };
    let options = method.options();
    if !options.has_extension(&extension) {
        return Ok(Vec::new());
    }
    let annotation = options.get_extension(&extension);
    let bytes = annotation.as_message().map(Message::encode_to_vec).unwrap_or_default();
    let first = HttpRule::decode(bytes.as_slice())
        .map_err(|error| RouteError::new(method, "", "", format!("the annotation does not decode: {error}")))?;

    let mut rules = Vec::with_capacity(1 + first.additional_bindings.len());
    for additional in &first.additional_bindings {
        if !additional.additional_bindings.is_empty() {
            return Err(RouteError::new(
                method,
                "",
                "",
                "additional bindings nest only one level deep",
            ));
        }
        rules.push(rule(method, additional)?);
    }
    rules.insert(0, rule(method, &first)?);
    Ok(rules)
}

fn rule(method: &MethodDescriptor, rule: &HttpRule) -> Result<Rule, RouteError> {
    let (verb, template) = match &rule.pattern {
        Some(Pattern::Get(path)) => ("GET", path),
        Some(Pattern::Put(path)) => ("PUT", path),
        Some(Pattern::Post(path)) => ("POST", path),
        Some(Pattern::Delete(path)) => ("DELETE", path),
        Some(Pattern::Patch(path)) => ("PATCH", path),
        Some(Pattern::Custom(custom)) => (custom.kind.as_str(), &custom.path),
        None => return Err(RouteError::new(method, "", "", "the rule has no path")),
    };
    if verb != "*" && http::Method::from_bytes(verb.as_bytes()).is_err() {
        return Err(RouteError::new(method, verb, template, "the kind is no HTTP method"));
    }
    Ok(Rule {
        verb: verb.to_owned(),
        template: template.clone(),
        body: rule.body.clone(),
        response_body: rule.response_body.clone(),
    })
}
