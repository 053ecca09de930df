//! The messages that ProtoJSON writes in a form of their own.

use prost_reflect::MessageDescriptor;
use serde_json::{Value, json};

use super::direction::Direction;
use super::object::{Object, allow_null};

/// The schema of a well-known message; `None` for any other.
pub(super) fn schema(message: &MessageDescriptor, direction: Direction) -> Option<Object> {
    let schema = match message.full_name() {
        "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
        "google.protobuf.Duration" => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}),
        "google.protobuf.FieldMask" => json!({"type": "string"}),
        "google.protobuf.Empty" => json!({"type": "object", "properties": {}, "additionalProperties": false}),
        "google.protobuf.Struct" => json!({"type": "object", "additionalProperties": true}),
        "google.protobuf.ListValue" => json!({"type": "array", "items": {}}),
        "google.protobuf.Value" => json!({}),
        "google.protobuf.Any" => json!({
            "type": "object",
            "properties": {
                "@type": {
                    "type": "string",
                    "description": "The message's type, such as `type.googleapis.com/package.Message`.",
                },
            },
            "required": ["@type"],
            "additionalProperties": true,
        }),
        "google.api.HttpBody" => json!({"type": "string", "contentMediaType": "application/octet-stream"}),
        name => return wrapper(name, direction),
    };
    object(schema)
}

/// The schema of a wrapper: its value's, where null is "not set".
fn wrapper(name: &str, direction: Direction) -> Option<Object> {
    let mut schema = match name {
        "google.protobuf.BoolValue" => object(json!({"type": "boolean"}))?,
        "google.protobuf.StringValue" => object(json!({"type": "string"}))?,
        "google.protobuf.BytesValue" => object(json!({"type": "string", "contentEncoding": "base64"}))?,
        "google.protobuf.Int32Value" => integer(i32::MIN.into(), i32::MAX.into(), "int32"),
        "google.protobuf.UInt32Value" => integer(0, u32::MAX.into(), "uint32"),
        "google.protobuf.Int64Value" => long("int64", direction),
        "google.protobuf.UInt64Value" => long("uint64", direction),
        "google.protobuf.FloatValue" => float("float"),
        "google.protobuf.DoubleValue" => float("double"),
        _ => return None,
    };
    allow_null(&mut schema);
    Some(schema)
}

/// A whole number within the range of its type: a client that generates values may not use the
/// range of the format.
pub(super) fn integer(minimum: i64, maximum: i64, format: &str) -> Object {
    object(json!({"type": "integer", "format": format, "minimum": minimum, "maximum": maximum})).unwrap_or_default()
}

/// A 64-bit number: a string, since a JavaScript number would lose its last digits. Numbers are
/// taken as well.
pub(super) fn long(format: &str, direction: Direction) -> Object {
    let pattern = if format == "int64" {
        "^-?[0-9]{1,19}$"
    } else {
        "^[0-9]{1,20}$"
    };
    let kind = if direction == Direction::Output {
        json!("string")
    } else {
        json!(["string", "integer"])
    };
    object(json!({"type": kind, "format": format, "pattern": pattern})).unwrap_or_default()
}

/// A floating-point number; what JSON has no number for is a string.
pub(super) fn float(format: &str) -> Object {
    let special = json!({"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]});
    object(json!({"anyOf": [{"type": "number", "format": format}, special]})).unwrap_or_default()
}

fn object(value: Value) -> Option<Object> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}
