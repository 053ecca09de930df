//! Whether a client has to send a field.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind};
use serde_json::{Value, json};

use super::read::{get, list, number_rules, plain};
use super::{Object, Rules};

impl Rules {
    /// Whether the default value of a field without presence (or the absence of one with presence)
    /// breaks the rules, so that a client has to send the field.
    pub(in crate::docs::openapi) fn needed(&self, field: &FieldDescriptor) -> bool {
        if self.required() {
            return true;
        }
        if field.supports_presence() || self.ignores_default() {
            return false;
        }
        let positive = |rules: &DynamicMessage, name| {
            get(rules, name)
                .and_then(|value| plain(&value).as_f64())
                .is_some_and(|low| low > 0.0)
        };
        if field.is_list() {
            return self
                .group("repeated")
                .is_some_and(|rules| positive(&rules, "min_items"));
        }
        if field.is_map() {
            return self.group("map").is_some_and(|rules| positive(&rules, "min_pairs"));
        }
        match field.kind() {
            Kind::String => {
                let mut schema = Object::new();
                self.string(&mut schema);
                !takes_empty(&schema)
            }
            Kind::Enum(descriptor) => {
                let mut schema = Object::new();
                self.enumeration(&descriptor, &mut schema);
                let zero = descriptor.default_value().name().to_owned();
                !schema["enum"]
                    .as_array()
                    .is_some_and(|names| names.iter().any(|name| *name == zero))
            }
            Kind::Message(_) | Kind::Bool | Kind::Bytes => false,
            number => self.group(number_rules(&number)).is_some_and(|rules| {
                let at_least_zero =
                    get(&rules, "gt").is_some_and(|value| plain(&value).as_f64().is_some_and(|low| low >= 0.0));
                let only = list(&rules, "in");
                positive(&rules, "gte") || at_least_zero || (!only.is_empty() && !only.contains(&json!(0)))
            }),
        }
    }
}

/// Whether the empty string passes the keywords of a schema.
pub(super) fn takes_empty(schema: &Object) -> bool {
    let too_short = schema
        .get("minLength")
        .and_then(Value::as_u64)
        .is_some_and(|length| length > 0);
    let unlisted = schema
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(|values| !values.contains(&json!("")));
    let matches = |pattern: &Value| {
        pattern
            .as_str()
            .and_then(|text| regex::Regex::new(text).ok())
            .is_none_or(|regex| regex.is_match(""))
    };
    let mut patterns = schema.get("pattern").into_iter().chain(
        schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|all| &all["pattern"]),
    );
    schema.contains_key("anyOf") || (!too_short && !unlisted && !schema.contains_key("format") && patterns.all(matches))
}
