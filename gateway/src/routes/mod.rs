//! The routes, compiled from the `google.api.http` rules of every method in the descriptor pool.
//!
//! Reading order: `rule` (an annotation as data), `template` (its path), `binding` (both, checked
//! against the request message), `tree` (finding one by path), `percent` (reading what it
//! captured).

mod binding;
mod error;
mod find;
pub(crate) mod percent;
mod rule;
mod template;
mod tree;

use std::sync::Arc;

use prost_reflect::{DescriptorPool, FieldDescriptor, MethodDescriptor};

pub use error::RouteError;
pub use find::{Found, Match};
pub(crate) use find::{not_allowed, not_found};
use tree::Tree;

/// One HTTP rule of a method: the rule itself or one of its additional bindings.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The gRPC method.
    pub method: MethodDescriptor,
    /// HTTP method, such as `GET`; `*` for any.
    pub verb: String,
    /// The path template of the proto, such as `/api/v1/todos/{todo_id}:complete`.
    pub template: String,
    /// Paths of the request fields that the path binds, in order; each a chain from the request
    /// message down.
    pub path_fields: Vec<Vec<FieldDescriptor>>,
    /// Where the request body goes.
    pub body: BodyTarget,
    /// The one field of the reply that is its body; the whole reply when `None`.
    pub response_body: Option<FieldDescriptor>,
    /// Where in the path each of `path_fields` is found.
    pub(crate) captures: Vec<template::Capture>,
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

/// Every binding of a pool, and the tree that finds one by method and path.
#[derive(Debug)]
pub struct Routes {
    bindings: Vec<Arc<Binding>>,
    tree: Tree,
}

impl Routes {
    /// Compiles the rules of every service in `pool`.
    ///
    /// # Errors
    /// Names the method and the rule when a template is malformed, when a rule names a field that
    /// does not exist or cannot be bound, and when two rules take the same requests.
    pub fn compile(pool: &DescriptorPool) -> Result<Self, RouteError> {
        let mut routes = Self {
            bindings: Vec::new(),
            tree: Tree::default(),
        };
        for service in pool.services() {
            for method in service.methods() {
                for rule in rule::rules(&method)? {
                    routes.add(&method, &rule)?;
                }
            }
        }
        Ok(routes)
    }

    fn add(&mut self, method: &MethodDescriptor, rule: &rule::Rule) -> Result<(), RouteError> {
        let refused = |reason: String| RouteError::new(method, &rule.verb, &rule.template, reason);
        let template = template::parse(&rule.template).map_err(refused)?;
        let binding = binding::bind(method, rule, &template).map_err(refused)?;
        let index = self.bindings.len();
        self.tree.insert(&template, &rule.verb, index).map_err(|taken| {
            let other = &self.bindings[taken];
            refused(format!(
                "takes the same requests as `{} {}` of {}",
                other.verb,
                other.template,
                other.method.full_name()
            ))
        })?;
        self.bindings.push(Arc::new(binding));
        Ok(())
    }

    /// Every binding, in the order of the protos.
    pub fn bindings(&self) -> impl ExactSizeIterator<Item = &Binding> {
        self.bindings.iter().map(Arc::as_ref)
    }

    /// Like [`Routes::bindings`], shared.
    pub(crate) fn shared_bindings(&self) -> impl Iterator<Item = Arc<Binding>> {
        self.bindings.iter().cloned()
    }
}

#[cfg(test)]
mod tests;
