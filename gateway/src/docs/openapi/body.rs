//! What a request carries in its body.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options;
use serde_json::{Value, json};

use super::direction::Direction;
use super::object::Object;
use super::oneofs::variants;
use super::schema::Schemas;
use crate::call::multipart::FILE;
use crate::routes::{Binding, BodyTarget};
use crate::transcode::known::is_http_body;

/// The request body of a binding; `None` when it carries nothing.
pub(super) fn describe(binding: &Binding, schemas: &mut Schemas<'_>) -> Option<Value> {
    let input = binding.method.input();
    let (schema, required) = match &binding.body {
        BodyTarget::None => return None,
        BodyTarget::Whole if is_http_body(&input) => return Some(binary(binding)),
        BodyTarget::Whole => whole(binding, &input, schemas)?,
        BodyTarget::Field(field) => match field.kind() {
            Kind::Message(message) if is_http_body(&message) => return Some(binary(binding)),
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
    let mut media = json!({"schema": schema});
    let examples = match &binding.body {
        BodyTarget::Whole => variants(&input, schemas),
        BodyTarget::None | BodyTarget::Field(_) => Object::new(),
    };
    if !examples.is_empty() {
        media["examples"] = examples.into();
    }
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
    // Where one of several fields has to be there, none of them is required by itself.
    let required = schema.contains_key("required") || schema.contains_key("anyOf");
    if in_path.is_empty() {
        return Some((schemas.reference(input, Direction::Input), required));
    }
    let name = schemas.input_name(input);
    Some((schemas.named(format!("{name}Body"), schema), required))
}

/// A file: as it is or, where it streams up, in a form as well.
fn binary(binding: &Binding) -> Value {
    // A type of its own: not every generator of clients takes `*/*`.
    let schema = json!({"type": "string", "format": "binary", "description": "The file as it is, under its own type."});
    let mut content = Object::new();
    if binding.method.is_client_streaming() {
        // Pages show a field to choose a file with for this format.
        let file =
            json!({"type": "string", "format": "binary", "description": "The file, with its type or extension."});
        let form = json!({
            "type": "object",
            "properties": {(FILE): file},
            "required": [FILE],
            "additionalProperties": false,
        });
        content.insert("multipart/form-data".into(), json!({"schema": form}));
    }
    content.insert("application/octet-stream".into(), json!({"schema": schema}));
    json!({"required": true, "content": content})
}
