//! The routes, compiled from the `google.api.http` rules of every method in the descriptor pool.

use prost_reflect::{FieldDescriptor, MethodDescriptor};

/// One HTTP rule of a method: the rule itself or one of its additional bindings.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The gRPC method.
    pub method: MethodDescriptor,
    /// HTTP method, as `GET`; `*` for any.
    pub verb: String,
    /// The path template as the proto writes it, as `/api/v1/todos/{todo_id}:complete`.
    pub template: String,
    /// Paths of the request fields that the path binds, in order; each a chain from the request message down.
    pub path_fields: Vec<Vec<FieldDescriptor>>,
    /// Where the request body goes.
    pub body: BodyTarget,
    /// The one field of the reply that is its body; the whole reply when `None`.
    pub response_body: Option<FieldDescriptor>,
}

/// Where the HTTP request's body goes in the request message.
#[derive(Debug, Clone)]
pub enum BodyTarget {
    /// There is none.
    None,
    /// Every field that the path does not bind (`body: "*"`).
    Whole,
    /// One field.
    Field(FieldDescriptor),
}
