//! What a request carries in its body.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options;
use serde_json::{Value, json};

use super::direction::Direction;
use super::object::{Object, object_of};
use super::schema::Schemas;
use crate::routes::{Binding, BodyTarget};
use crate::transcode::known::is_http_body;

/// The request body of a binding; `None` when it carries nothing.
pub(super) fn describe(binding: &Binding, schemas: &mut Schemas<'_>) -> Option<Value> {
    let input = binding.method.input();
    let (schema, required) = match &binding.body {
        BodyTarget::None => return None,
        BodyTarget::Whole if is_http_body(&input) => return Some(binary()),
        BodyTarget::Whole => whole(binding, &input, schemas)?,
        BodyTarget::Field(field) => match field.kind() {
            Kind::Message(message) if is_http_body(&message) => return Some(binary()),
            Kind::Message(message) if !field.is_list() && !field.is_map() => {
                let direction = if is_masked(binding) {
                    Direction::Patch
                } else {
                    Direction::Input
                };
                (schemas.reference(&message, direction), true)
            }
            _ => (schemas.field(field, Direction::Input), true),
        },
    };
    let media = json!({"schema": schema});
    let mut content = Object::new();
    if options::edge(&binding.method).form {
        content.insert("application/x-www-form-urlencoded".into(), media.clone());
    }
    content.insert("application/json".into(), media);
    Some(json!({"required": required, "content": content}))
}

/// Whether the keys of the body decide which fields are changed: a PATCH of one field, beside which
/// the request has a mask.
fn is_masked(binding: &Binding) -> bool {
    binding.verb == "PATCH" && mask_field(&binding.method.input()).is_some()
}

/// The field of a request that is a mask.
pub(super) fn mask_field(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    message.fields().find(|field| {
        matches!(field.kind(), Kind::Message(kind) if kind.full_name() == "google.protobuf.FieldMask")
            && !field.is_list()
    })
}

/// The message without what travels in the path, and whether anything of it is required; `None`
/// when nothing is left.
fn whole(binding: &Binding, input: &MessageDescriptor, schemas: &mut Schemas<'_>) -> Option<(Object, bool)> {
    let in_path: Vec<FieldDescriptor> = binding
        .path_fields
        .iter()
        .filter(|chain| chain.len() == 1)
        .filter_map(|chain| chain.first().cloned())
        .collect();
    let schema = schemas.message(input, Direction::Input, &in_path);
    if schema
        .get("properties")
        .and_then(Value::as_object)
        .is_none_or(Object::is_empty)
    {
        return None;
    }
    let required = schema.contains_key("required");
    if in_path.is_empty() {
        return Some((schemas.reference(input, Direction::Input), required));
    }
    let name = schemas.input_name(input);
    Some((schemas.named(format!("{name}Body"), schema), required))
}

fn binary() -> Value {
    let schema = object_of([("contentMediaType", json!("application/octet-stream"))]);
    json!({"required": true, "content": {"*/*": {"schema": schema}}})
}
