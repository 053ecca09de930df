//! The messages that ProtoJSON writes in a form of their own.

use prost_reflect::MessageDescriptor;

/// A message with a special form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Any,
    Duration,
    Empty,
    FieldMask,
    List,
    Struct,
    Timestamp,
    Value,
    /// `StringValue` and the others: one field, written as that field.
    Wrapper,
}

/// The special form of `message`, if it has one.
pub(crate) fn known(message: &MessageDescriptor) -> Option<Known> {
    Some(match message.full_name().strip_prefix("google.protobuf.")? {
        "Any" => Known::Any,
        "Duration" => Known::Duration,
        "Empty" => Known::Empty,
        "FieldMask" => Known::FieldMask,
        "ListValue" => Known::List,
        "Struct" => Known::Struct,
        "Timestamp" => Known::Timestamp,
        "Value" => Known::Value,
        "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value" | "StringValue"
        | "UInt32Value" | "UInt64Value" => Known::Wrapper,
        _ => return None,
    })
}

/// Whether a message is a body itself, whatever it holds.
pub(crate) fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.api.HttpBody"
}
