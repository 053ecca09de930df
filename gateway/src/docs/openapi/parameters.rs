//! What a request carries in its path, its query, its cookies and its headers.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_kernel::IdempotencyKey;
use quartet_proto::options::{self, Idempotency};
use serde_json::{Value, json};

use super::body::mask_field;
use super::direction::Direction;
use super::object::{Object, object_of};
use super::path::{Parameter, Path};
use super::rules::{Rules, add_pattern};
use super::schema::Schemas;
use super::{examples, known};
use crate::routes::{Binding, BodyTarget};

/// Nested messages are followed this deep; a message that holds itself would go on for ever.
const MAX_DEPTH: usize = 8;

/// Every parameter of a binding.
pub(super) fn describe(binding: &Binding, path: &Path, schemas: &mut Schemas<'_>) -> Vec<Value> {
    let mut parameters: Vec<Value> = path
        .parameters
        .iter()
        .map(|parameter| in_path(binding, parameter, schemas))
        .collect();
    let input = binding.method.input();
    if !matches!(binding.body, BodyTarget::Whole) {
        let mut chain = Vec::new();
        in_query(binding, &input, &mut chain, schemas, &mut parameters);
    }
    parameters.extend(input.fields().filter_map(|field| in_cookie(&field, schemas)));
    parameters.extend(idempotency_key(binding));
    parameters.extend(input.fields().filter_map(|field| if_match(binding, &field)));
    parameters
}

/// What `If-Match` holds (RFC 9110 §13.1.1); a single tag may leave out its quotes.
const ETAGS: &str = r#"^(\*|[0-9A-Za-z]+|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#;

/// The header that demands a version of the resource.
fn if_match(binding: &Binding, field: &FieldDescriptor) -> Option<Value> {
    if !options::if_match(field) {
        return None;
    }
    let description = "The `ETag` that you have seen, several of them, or `*`: the request fails with 412 if what it \
                       changes has another by now.";
    Some(json!({
        "name": "If-Match",
        "in": "header",
        "required": options::precondition_required(&binding.method),
        "description": description,
        "schema": {"type": "string", "maxLength": 1000, "pattern": ETAGS},
        "example": "\"2f0fcb5b0a7e4d0c9a1b8e6f3d2c1b0a\"",
    }))
}

/// The header that makes a repeat take effect once.
fn idempotency_key(binding: &Binding) -> Option<Value> {
    if !takes_key(binding) {
        return None;
    }
    let description = "Makes a repeat of the request take effect once: it gets the reply to the first one, with the \
                       header `Idempotency-Replayed`. Any text that is unique for each request, such as a UUID.";
    Some(json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": IdempotencyKey::MAX, "pattern": "^[!-~]+$"},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    }))
}

/// Whether the method takes idempotency keys.
pub(super) fn takes_key(binding: &Binding) -> bool {
    matches!(
        options::idempotency(&binding.method),
        Idempotency::Kept | Idempotency::Redone
    )
}

fn in_path(binding: &Binding, parameter: &Parameter, schemas: &mut Schemas<'_>) -> Value {
    let field = parameter.field.and_then(|index| binding.path_fields.get(index)?.last());
    let mut schema = match field.filter(|_| parameter.whole) {
        Some(field) => schemas.field(field, Direction::Input),
        None => object_of([("type", json!("string"))]),
    };
    if schema.get("type").is_some_and(|kind| kind == "string") && !schema.contains_key("enum") {
        // A path has no empty segments.
        schema.entry("minLength").or_insert(json!(1));
    }
    let mut description = field
        .map(|field| schemas.comments.field(field))
        .unwrap_or_default()
        .to_owned();
    if parameter.rest {
        description.push_str(" May hold slashes.");
    }
    let mut object = object_of([
        ("name", json!(parameter.name)),
        ("in", json!("path")),
        ("required", json!(true)),
    ]);
    insert_description(&mut object, description.trim());
    if let Some(example) = field.and_then(|field| examples::of(field, &schema)) {
        object.insert("example".into(), example);
    }
    object.insert("schema".into(), schema.into());
    object.into()
}

/// The fields that neither path nor body takes; those of nested messages are named with dots.
fn in_query(
    binding: &Binding,
    message: &MessageDescriptor,
    chain: &mut Vec<FieldDescriptor>,
    schemas: &mut Schemas<'_>,
    parameters: &mut Vec<Value>,
) {
    for field in message.fields() {
        let in_body = chain.is_empty() && matches!(&binding.body, BodyTarget::Field(body) if *body == field);
        if in_body || options::cookie(&field).is_some() || options::if_match(&field) || field.is_map() {
            continue;
        }
        chain.push(field.clone());
        let in_path = binding.path_fields.contains(chain);
        match field.kind() {
            _ if in_path => {}
            Kind::Message(inner) if known::schema(&inner, Direction::Input).is_none() => {
                // A list of messages has no form in a query.
                if !field.is_list() && chain.len() < MAX_DEPTH {
                    in_query(binding, &inner, chain, schemas, parameters);
                }
            }
            _ => parameters.push(query_parameter(binding, chain, schemas)),
        }
        chain.pop();
    }
}

fn query_parameter(binding: &Binding, chain: &[FieldDescriptor], schemas: &mut Schemas<'_>) -> Value {
    let names: Vec<&str> = chain.iter().map(FieldDescriptor::name).collect();
    let mut object = object_of([("name", json!(names.join("."))), ("in", json!("query"))]);
    let Some(field) = chain.last() else {
        return object.into();
    };
    let mut schema = schemas.field(field, Direction::Input);
    if chain.len() == 1 && mask_field(&binding.method.input()).as_ref() == Some(field) {
        restrict_mask(binding, &mut schema);
    }
    if Rules::of(field).needed(field) {
        object.insert("required".into(), json!(true));
    }
    if field.is_list() {
        object.insert("style".into(), json!("form"));
        object.insert("explode".into(), json!(true));
    }
    if options::edge(&binding.method).deprecation.is_some() {
        object.insert("deprecated".into(), json!(true));
    }
    insert_description(&mut object, schemas.comments.field(field));
    object.insert("schema".into(), schema.into());
    object.into()
}

/// A mask beside a body names fields of that body.
fn restrict_mask(binding: &Binding, schema: &mut Object) {
    let BodyTarget::Field(body) = &binding.body else { return };
    let Kind::Message(message) = body.kind() else { return };
    let names: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
    let any = names.join("|");
    add_pattern(schema, format!("^(({any})(,({any}))*)?$"));
}

fn in_cookie(field: &FieldDescriptor, schemas: &mut Schemas<'_>) -> Option<Value> {
    let cookie = options::cookie(field)?;
    let mut object = object_of([("name", json!(cookie.name)), ("in", json!("cookie"))]);
    insert_description(&mut object, schemas.comments.field(field));
    object.insert("schema".into(), schemas.field(field, Direction::Input).into());
    Some(object.into())
}

fn insert_description(object: &mut Object, description: &str) {
    if !description.is_empty() {
        object.insert("description".into(), json!(description));
    }
}
