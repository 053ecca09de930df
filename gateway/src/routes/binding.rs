//! A rule checked against the messages of its method.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use super::rule::Rule;
use super::template::Template;
use super::{Binding, BodyTarget};

/// Resolves the names in `rule` to fields of the method's request and reply.
pub(super) fn bind(method: &MethodDescriptor, rule: &Rule, template: &Template) -> Result<Binding, String> {
    let input = method.input();
    let mut path_fields: Vec<Vec<FieldDescriptor>> = Vec::with_capacity(template.variables.len());
    for variable in &template.variables {
        let chain = path_field(&input, &variable.path)?;
        if path_fields.contains(&chain) {
            return Err(format!("the path binds `{}` twice", variable.path.join(".")));
        }
        path_fields.push(chain);
    }
    let body = match rule.body.as_str() {
        "" => BodyTarget::None,
        "*" => BodyTarget::Whole,
        name => BodyTarget::Field(top_level(&input, name, "body")?),
    };
    if let BodyTarget::Field(field) = &body
        && path_fields.iter().any(|chain| chain.len() == 1 && chain[0] == *field)
    {
        return Err(format!("`{}` is bound by the path and by the body", field.name()));
    }
    let response_body = match rule.response_body.as_str() {
        "" => None,
        name => Some(top_level(&method.output(), name, "response_body")?),
    };
    Ok(Binding {
        method: method.clone(),
        verb: rule.verb.clone(),
        template: rule.template.clone(),
        path_fields,
        body,
        response_body,
        captures: template.variables.iter().map(|variable| variable.capture).collect(),
    })
}

fn top_level(message: &MessageDescriptor, name: &str, what: &str) -> Result<FieldDescriptor, String> {
    message
        .get_field_by_name(name)
        .ok_or_else(|| format!("{what} `{name}` is no field of {}", message.full_name()))
}

/// The chain of fields that `path` names; only single scalars and enums can stand in a path.
fn path_field(input: &MessageDescriptor, path: &[String]) -> Result<Vec<FieldDescriptor>, String> {
    let dotted = || path.join(".");
    let mut message = input.clone();
    let mut chain = Vec::with_capacity(path.len());
    for (depth, name) in path.iter().enumerate() {
        let field = message.get_field_by_name(name).ok_or_else(|| {
            format!(
                "path field `{}`: `{name}` is no field of {}",
                dotted(),
                message.full_name()
            )
        })?;
        if field.is_list() || field.is_map() {
            return Err(format!("path field `{}`: `{name}` is repeated", dotted()));
        }
        let last = depth + 1 == path.len();
        match field.kind() {
            Kind::Message(inner) if !last => message = inner,
            Kind::Message(_) => return Err(format!("path field `{}` is a message", dotted())),
            _ if !last => return Err(format!("path field `{}`: `{name}` is no message", dotted())),
            _ => {}
        }
        chain.push(field);
    }
    Ok(chain)
}
