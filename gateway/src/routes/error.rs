//! Why the routes cannot be compiled.

use prost_reflect::MethodDescriptor;

/// An HTTP rule that cannot be served; the start is refused for it.
#[derive(Debug, thiserror::Error)]
#[error("{method}: `{verb} {template}`: {reason}")]
pub struct RouteError {
    /// Full name of the gRPC method.
    pub method: String,
    /// HTTP method of the rule.
    pub verb: String,
    /// Path template of the rule.
    pub template: String,
    /// What is wrong with it.
    pub reason: String,
}

impl RouteError {
    pub(super) fn new(method: &MethodDescriptor, verb: &str, template: &str, reason: impl Into<String>) -> Self {
        Self {
            method: method.full_name().to_owned(),
            verb: verb.to_owned(),
            template: template.to_owned(),
            reason: reason.into(),
        }
    }
}
