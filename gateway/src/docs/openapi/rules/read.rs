//! Reading a message of `buf.validate` by the names of its fields.

use prost_reflect::{DynamicMessage, Kind, ReflectMessage, Value as Proto};
use serde_json::{Value, json};

use super::Object;

/// The name of the rules for a kind of number; empty for any other kind.
pub(super) fn number_rules(kind: &Kind) -> &'static str {
    match kind {
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Float => "float",
        Kind::Double => "double",
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Enum(_) => "",
    }
}

/// A rule that is set.
pub(super) fn get(rules: &DynamicMessage, name: &str) -> Option<Proto> {
    let field = rules.descriptor().get_field_by_name(name)?;
    rules.has_field(&field).then(|| rules.get_field(&field).into_owned())
}

/// The rules of one kind, or of the items of a list.
pub(super) fn message(rules: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    get(rules, name)?.as_message().cloned()
}

/// A rule that is a list of values.
pub(super) fn list(rules: &DynamicMessage, name: &str) -> Vec<Value> {
    get(rules, name)
        .and_then(|value| Some(value.as_list()?.iter().map(plain).collect()))
        .unwrap_or_default()
}

/// Copies rules that have another name in JSON Schema.
pub(super) fn copy(rules: &DynamicMessage, schema: &mut Object, names: &[(&str, &str)]) {
    for (rule, keyword) in names {
        if let Some(value) = get(rules, rule) {
            schema.insert((*keyword).into(), plain(&value));
        }
    }
}

/// A scalar as JSON.
pub(super) fn plain(value: &Proto) -> Value {
    match value {
        Proto::Bool(value) => json!(value),
        Proto::I32(value) | Proto::EnumNumber(value) => json!(value),
        Proto::I64(value) => json!(value),
        Proto::U32(value) => json!(value),
        Proto::U64(value) => json!(value),
        Proto::F32(value) => json!(value),
        Proto::F64(value) => json!(value),
        Proto::String(value) => json!(value),
        Proto::Bytes(_) | Proto::Message(_) | Proto::List(_) | Proto::Map(_) => Value::Null,
    }
}
