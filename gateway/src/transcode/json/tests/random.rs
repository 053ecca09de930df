//! Random messages of any type, made from its descriptor.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::testing;

/// A message of the kitchen.
pub(super) fn message(name: &str) -> BoxedStrategy<DynamicMessage> {
    of(testing::descriptor(name), 3)
}

/// Each field is set one time out of four, and of a oneof at most one.
fn of(descriptor: MessageDescriptor, depth: u32) -> BoxedStrategy<DynamicMessage> {
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => span(descriptor, -62_135_596_800..=253_402_300_799, false),
        "google.protobuf.Duration" => span(descriptor, -315_575_999_999..=315_575_999_999, true),
        "google.protobuf.FieldMask" => prop::collection::vec("[a-z]{1,5}(_[a-z]{1,4}){0,2}(\\.[a-z]{1,4}){0,2}", 0..4)
            .prop_map(move |paths| {
                with(
                    &descriptor,
                    1,
                    Value::List(paths.into_iter().map(Value::String).collect()),
                )
            })
            .boxed(),
        "google.protobuf.Value" => value(descriptor, depth),
        "google.protobuf.Any" => of(testing::descriptor("Nested"), 1)
            .prop_map(move |inner| {
                let mut any = with(
                    &descriptor,
                    1,
                    Value::String("type.googleapis.com/kitchen.v1.Nested".to_owned()),
                );
                any.set_field_by_number(2, Value::Bytes(inner.encode_to_vec().into()));
                any
            })
            .boxed(),
        _ => fields(descriptor, depth),
    }
}

fn fields(descriptor: MessageDescriptor, depth: u32) -> BoxedStrategy<DynamicMessage> {
    let fields: Vec<_> = descriptor
        .fields()
        .filter(|field| depth > 0 || !matches!(field.kind(), Kind::Message(_)))
        .map(|field| {
            prop::option::weighted(0.25, set(field.clone(), depth))
                .prop_map(move |value| value.map(|value| (field.clone(), value)))
        })
        .collect();
    fields
        .prop_map(move |values| {
            let mut message = DynamicMessage::new(descriptor.clone());
            for (field, value) in values.into_iter().flatten() {
                message.set_field(&field, value);
            }
            message
        })
        .boxed()
}

fn set(field: FieldDescriptor, depth: u32) -> BoxedStrategy<Value> {
    let kind = field.kind();
    if let (true, Kind::Message(entry)) = (field.is_map(), &kind) {
        let key = single(entry.map_entry_key_field().kind(), 0).prop_map(|key| match key {
            Value::Bool(key) => MapKey::Bool(key),
            Value::I32(key) => MapKey::I32(key),
            Value::U64(key) => MapKey::U64(key),
            Value::String(key) => MapKey::String(key),
            other => panic!("no key: {other:?}"),
        });
        let value = single(entry.map_entry_value_field().kind(), depth - 1);
        return prop::collection::hash_map(key.prop_map(Key), value, 0..3)
            .prop_map(|entries| {
                Value::Map(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.0, value))
                        .collect::<HashMap<_, _>>(),
                )
            })
            .boxed();
    }
    let next = depth.saturating_sub(1);
    if field.is_list() {
        return prop::collection::vec(single(kind, next), 0..4)
            .prop_map(Value::List)
            .boxed();
    }
    single(kind, next)
}

/// proptest needs keys that it can print.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(MapKey);

fn single(kind: Kind, depth: u32) -> BoxedStrategy<Value> {
    match kind {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::String => any::<String>().prop_map(Value::String).boxed(),
        Kind::Bytes => any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => any::<i32>().prop_map(Value::I32).boxed(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => any::<i64>().prop_map(Value::I64).boxed(),
        Kind::Uint32 | Kind::Fixed32 => any::<u32>().prop_map(Value::U32).boxed(),
        Kind::Uint64 | Kind::Fixed64 => any::<u64>().prop_map(Value::U64).boxed(),
        Kind::Float => prop::num::f32::ANY.prop_map(Value::F32).boxed(),
        Kind::Double => prop::num::f64::ANY.prop_map(Value::F64).boxed(),
        Kind::Enum(descriptor) if descriptor.full_name() == "google.protobuf.NullValue" => {
            Just(Value::EnumNumber(0)).boxed()
        }
        Kind::Enum(_) => prop_oneof![0..3, any::<i32>()].prop_map(Value::EnumNumber).boxed(),
        Kind::Message(descriptor) => of(descriptor, depth).prop_map(Value::Message).boxed(),
    }
}

fn span(
    descriptor: MessageDescriptor,
    seconds: std::ops::RangeInclusive<i64>,
    signed: bool,
) -> BoxedStrategy<DynamicMessage> {
    let nanos = prop_oneof![
        Just(0),
        (0..1_000).prop_map(|millis| millis * 1_000_000),
        0..1_000_000_000
    ];
    (seconds, nanos)
        .prop_map(move |(seconds, nanos)| {
            let mut message = with(&descriptor, 1, Value::I64(seconds));
            message.set_field_by_number(2, Value::I32(if signed && seconds < 0 { -nanos } else { nanos }));
            message
        })
        .boxed()
}

/// A `google.protobuf.Value`, in which exactly one field is set and numbers are finite.
fn value(descriptor: MessageDescriptor, depth: u32) -> BoxedStrategy<DynamicMessage> {
    let scalar = prop_oneof![
        Just((1, Value::EnumNumber(0))),
        (prop::num::f64::NORMAL | prop::num::f64::ZERO).prop_map(|number| (2, Value::F64(number))),
        any::<String>().prop_map(|text| (3, Value::String(text))),
        any::<bool>().prop_map(|value| (4, Value::Bool(value))),
    ];
    let inner = |number| match descriptor.get_field(number).unwrap().kind() {
        Kind::Message(inner) => fields(inner, depth)
            .prop_map(move |message| (number, Value::Message(message)))
            .boxed(),
        kind => panic!("{kind:?}"),
    };
    let picked = if depth > 1 {
        prop_oneof![scalar, inner(5), inner(6)].boxed()
    } else {
        scalar.boxed()
    };
    picked
        .prop_map(move |(number, value)| with(&descriptor, number, value))
        .boxed()
}

fn with(descriptor: &MessageDescriptor, number: u32, value: Value) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field_by_number(number, value);
    message
}
