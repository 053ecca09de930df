//! Oneofs, which exclude one another or require one of their fields.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::json;

use super::object::Object;
use super::rules::Rules;
use super::schema::Schemas;
use crate::comments::first_sentence;

/// Fields of one oneof exclude one another.
pub(super) fn exclude_pairs(message: &MessageDescriptor, without: &[FieldDescriptor], schema: &mut Object) {
    let mut all = Vec::new();
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let names: Vec<String> = oneof
            .fields()
            .filter(|field| !without.contains(field))
            .map(|field| field.name().to_owned())
            .collect();
        for (index, name) in names.iter().enumerate() {
            all.extend(
                names[index + 1..]
                    .iter()
                    .map(|other| json!({"not": {"required": [name, other]}})),
            );
        }
    }
    if !all.is_empty() {
        schema.insert("allOf".into(), all.into());
    }
}

/// The requests of a message with a required oneof, one for each of its fields; none for any other
/// message.
pub(super) fn variants(message: &MessageDescriptor, schemas: &mut Schemas<'_>) -> Object {
    let required = message.oneofs().find(Rules::requires_one_of);
    let fields = required.iter().flat_map(|oneof| oneof.fields().collect::<Vec<_>>());
    let mut variants = Object::new();
    for field in fields {
        let Kind::Message(kind) = field.kind() else { continue };
        let value = json!({ field.name(): schemas.input_example(&kind) });
        let summary = first_sentence(schemas.comments.field(&field)).replace('`', "");
        variants.insert(field.name().to_owned(), json!({"summary": summary, "value": value}));
    }
    variants
}

/// One field of a required oneof is there. With several such oneofs, the first one is stated: a
/// schema has one `anyOf`.
pub(super) fn require_one(message: &MessageDescriptor, without: &[FieldDescriptor], schema: &mut Object) {
    let required = message.oneofs().find(Rules::requires_one_of);
    let names = required.iter().flat_map(|oneof| oneof.fields().collect::<Vec<_>>());
    let any: Vec<_> = names
        .filter(|field| !without.contains(field))
        // The title is what pages show of the choice.
        .map(|field| json!({"title": field.name(), "required": [field.name()]}))
        .collect();
    if !any.is_empty() {
        schema.insert("anyOf".into(), any.into());
    }
}
