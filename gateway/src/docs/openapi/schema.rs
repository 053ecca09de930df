//! Messages as JSON Schema: what ProtoJSON makes of them, and what their rules allow.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options;
use serde_json::{Value, json};

use super::direction::Direction;
use super::names::Names;
use super::object::{Object, allow_null, object_of, reference_to};
use super::oneofs::{exclude_pairs, require_one};
use super::problems::Problems;
use super::rules::Rules;
use super::{examples, known};
use crate::comments::Comments;
use crate::routes::Binding;
use crate::transcode::text::printed;

/// The components, as they become needed.
pub(super) struct Schemas<'a> {
    pub(super) comments: &'a Comments,
    pub(super) problems: Problems,
    names: Names,
    done: BTreeMap<String, Value>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(pool: &DescriptorPool, comments: &'a Comments, bindings: &[&Binding]) -> Self {
        let mut done = BTreeMap::new();
        done.insert("Problem".to_owned(), super::problems::schema());
        Self {
            comments,
            problems: Problems::default(),
            names: Names::new(pool, bindings),
            done,
        }
    }

    /// Every component.
    pub(super) fn finish(self) -> Value {
        self.done.into_iter().collect()
    }

    /// A reference to a message.
    pub(super) fn reference(&mut self, message: &MessageDescriptor, direction: Direction) -> Object {
        if let Some(schema) = known::schema(message, direction) {
            return schema;
        }
        let name = match direction {
            Direction::Output => self.names.of(message.full_name(), message.package_name()),
            Direction::Input | Direction::Patch => self.names.of_input(message),
        };
        if direction == Direction::Patch {
            return self.patch_reference(message, name);
        }
        if !self.done.contains_key(&name) {
            // A placeholder first: a message may hold itself.
            self.done.insert(name.clone(), Value::Null);
            let mut schema = self.message(message, direction, &[]);
            let example = (direction == Direction::Output).then(|| self.composed(message, &schema));
            if let Some(example) = example.flatten() {
                schema.insert("examples".into(), json!([example]));
            }
            self.done.insert(name.clone(), schema.into());
        }
        reference_to(&name)
    }

    /// A message as clients send it, composed of the examples of its fields.
    pub(super) fn input_example(&mut self, message: &MessageDescriptor) -> Value {
        let schema = self.message(message, Direction::Input, &[]);
        self.composed(message, &schema).unwrap_or_else(|| json!({}))
    }

    /// A value of the schema, composed of the examples of its fields. `None` where a required field has
    /// no example, such as a secret.
    fn composed(&self, message: &MessageDescriptor, schema: &Object) -> Option<Value> {
        let required = schema.get("required").and_then(Value::as_array);
        let mut object = Object::new();
        for field in message.fields().filter(examples::is_there) {
            let Some(property) = schema["properties"].get(field.name()) else {
                continue;
            };
            match self.example_of(property) {
                Some(example) => {
                    object.insert(field.name().to_owned(), example);
                }
                None if required.is_some_and(|required| required.contains(&json!(field.name()))) => return None,
                None => {}
            }
        }
        Some(object.into())
    }

    fn example_of(&self, property: &Value) -> Option<Value> {
        if let Some(example) = property.pointer("/examples/0") {
            return Some(example.clone());
        }
        let refers = |schema: &Value| {
            let name = schema["$ref"].as_str()?.rsplit('/').next()?;
            self.done.get(name)?.pointer("/examples/0").cloned()
        };
        if property["type"] == "array" {
            return refers(&property["items"]).map(|item| json!([item]));
        }
        refers(property).or_else(|| property["anyOf"].as_array()?.iter().find_map(refers))
    }

    /// A message whose names decide what is changed has a component of its own: nothing is required
    /// but to change something.
    fn patch_reference(&mut self, message: &MessageDescriptor, name: String) -> Object {
        let mut schema = self.message(message, Direction::Patch, &[]);
        schema.insert("minProperties".into(), json!(1));
        self.named(format!("{name}Patch"), schema)
    }

    /// Adds a schema under a name, or under the first free number after it, and refers to it.
    pub(super) fn named(&mut self, name: String, schema: Object) -> Object {
        let schema = Value::from(schema);
        let mut candidate = name.clone();
        let mut number = 1;
        while self.done.get(&candidate).is_some_and(|known| *known != schema) {
            number += 1;
            candidate = format!("{name}{number}");
        }
        self.done.insert(candidate.clone(), schema);
        reference_to(&candidate)
    }

    /// The component's name of a request message.
    pub(super) fn input_name(&self, message: &MessageDescriptor) -> String {
        self.names.of_input(message)
    }

    /// The schema of a message without the fields that travel elsewhere.
    pub(super) fn message(
        &mut self,
        message: &MessageDescriptor,
        direction: Direction,
        without: &[FieldDescriptor],
    ) -> Object {
        let mut properties = Object::new();
        let mut required = Vec::new();
        for field in message
            .fields()
            .filter(|field| !without.contains(field) && options::cookie(field).is_none() && !options::if_match(field))
        {
            properties.insert(field.name().to_owned(), self.property(&field, direction).into());
            let is_required = match direction {
                Direction::Input => Rules::of(&field).needed(&field),
                Direction::Patch => false,
                Direction::Output => !field.supports_presence(),
            };
            if is_required {
                required.push(json!(field.name()));
            }
        }
        let mut schema = Object::new();
        schema.insert("type".into(), json!("object"));
        let description = self.comments.message(message);
        if !description.is_empty() {
            schema.insert("description".into(), json!(description));
        }
        schema.insert("properties".into(), properties.into());
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        if direction != Direction::Output {
            schema.insert("additionalProperties".into(), json!(false));
            exclude_pairs(message, without, &mut schema);
            require_one(message, without, &mut schema);
        }
        schema
    }

    /// The schema of a field as a member of its message.
    fn property(&mut self, field: &FieldDescriptor, direction: Direction) -> Object {
        let mut schema = self.field(field, direction);
        let description = self.comments.field(field);
        if !description.is_empty() {
            schema.insert("description".into(), json!(description));
        }
        if let Some(example) = examples::of(field, &schema) {
            schema.insert("examples".into(), json!([example]));
        }
        if direction != Direction::Output && !Rules::of(field).needed(field) {
            allow_null(&mut schema);
        }
        schema
    }

    /// The schema of a field's value, rules included.
    pub(super) fn field(&mut self, field: &FieldDescriptor, direction: Direction) -> Object {
        // What goes to the client follows no rule but the type: an old row may be older than the
        // rule.
        let rules = if direction == Direction::Output {
            Rules::default()
        } else {
            Rules::of(field)
        };
        let nested = if direction == Direction::Output {
            Direction::Output
        } else {
            Direction::Input
        };
        let mut schema = if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                return Object::new();
            };
            let values = self.single(&entry.map_entry_value_field().kind(), &rules.values(), nested);
            let mut schema = object_of([("type", json!("object")), ("additionalProperties", values.into())]);
            rules.apply_map(&mut schema);
            schema
        } else if field.is_list() {
            let items = self.single(&field.kind(), &rules.items(), nested);
            let mut schema = object_of([("type", json!("array")), ("items", items.into())]);
            rules.apply_list(&mut schema);
            schema
        } else {
            self.single(&field.kind(), &rules, nested)
        };
        if options::secret(field) && direction != Direction::Output && !schema.contains_key("format") {
            schema.insert("format".into(), json!("password"));
        }
        schema
    }

    /// The schema of one value.
    fn single(&mut self, kind: &Kind, rules: &Rules, direction: Direction) -> Object {
        let mut schema = match kind {
            Kind::Message(message) => self.reference(message, direction),
            Kind::Enum(descriptor) => return self.enumeration(descriptor, rules, direction),
            Kind::Bool => object_of([("type", json!("boolean"))]),
            Kind::String => object_of([("type", json!("string"))]),
            Kind::Bytes => object_of([("type", json!("string")), ("contentEncoding", json!("base64"))]),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => known::integer(i32::MIN.into(), i32::MAX.into(), "int32"),
            Kind::Uint32 | Kind::Fixed32 => known::integer(0, u32::MAX.into(), "uint32"),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => known::long("int64", direction),
            Kind::Uint64 | Kind::Fixed64 => known::long("uint64", direction),
            Kind::Float => known::float("float"),
            Kind::Double => known::float("double"),
        };
        rules.apply(kind, &mut schema);
        schema
    }

    /// A reference to an enum; its own list of names where the rules leave some out.
    fn enumeration(&mut self, descriptor: &EnumDescriptor, rules: &Rules, direction: Direction) -> Object {
        if descriptor.full_name() == "google.protobuf.NullValue" {
            return object_of([("type", json!("null"))]);
        }
        let mut schema = object_of([("type", json!("string"))]);
        rules.apply(&Kind::Enum(descriptor.clone()), &mut schema);
        let all = printed(descriptor).count();
        if direction != Direction::Output && schema["enum"].as_array().is_some_and(|names| names.len() < all) {
            return schema;
        }
        let name = self.names.of(descriptor.full_name(), descriptor.package_name());
        if !self.done.contains_key(&name) {
            let lines =
                printed(descriptor).map(|value| format!("- `{}`: {}", value.name(), self.comments.enum_value(&value)));
            let lines: Vec<String> = lines.collect();
            schema.insert(
                "description".into(),
                json!(format!(
                    "{}\n\n{}",
                    self.comments.enumeration(descriptor),
                    lines.join("\n")
                )),
            );
            schema.insert(
                "enum".into(),
                printed(descriptor).map(|value| json!(value.name())).collect(),
            );
            schema.insert("examples".into(), json!([examples::enumeration(descriptor)]));
            self.done.insert(name.clone(), schema.into());
        }
        reference_to(&name)
    }
}
