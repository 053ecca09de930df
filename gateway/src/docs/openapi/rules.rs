//! The rules of `buf.validate`, as keywords of JSON Schema.

mod needed;
mod read;

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, OneofDescriptor, Value as Proto};
use serde_json::{Value, json};

use super::object::Object;
use crate::transcode::text::printed;
use needed::takes_empty;
use read::{copy, get, list, message, number_rules, plain};

/// The rules of a field, or of the items of a list.
#[derive(Default)]
pub(super) struct Rules(Option<DynamicMessage>);

impl Rules {
    /// The rules that a field declares.
    pub(super) fn of(field: &FieldDescriptor) -> Self {
        let Some(extension) = field.parent_pool().get_extension_by_name("buf.validate.field") else {
            return Self::default();
        };
        let options = field.options();
        Self(
            options
                .has_extension(&extension)
                .then(|| options.get_extension(&extension).as_message().cloned())
                .flatten(),
        )
    }

    /// Whether one field of `oneof` has to be set.
    pub(super) fn requires_one_of(oneof: &OneofDescriptor) -> bool {
        let extension = oneof.parent_pool().get_extension_by_name("buf.validate.oneof");
        let options = oneof.options();
        extension
            .filter(|extension| options.has_extension(extension))
            .is_some_and(|extension| {
                let rules = options.get_extension(&extension);
                let required = rules
                    .as_message()
                    .and_then(|rules| Some(rules.get_field_by_name("required")?.into_owned()));
                required.and_then(|required| required.as_bool()).unwrap_or_default()
            })
    }

    /// Whether the value must be there, and for a field without presence be another than its
    /// default.
    pub(super) fn required(&self) -> bool {
        self.get("required")
            .and_then(|value| value.as_bool())
            .unwrap_or_default()
    }

    /// Whether a default value passes all rules.
    fn ignores_default(&self) -> bool {
        // IGNORE_IF_ZERO_VALUE = 1, IGNORE_ALWAYS = 3
        self.ignore() == Some(1) || self.ignore() == Some(3)
    }

    /// Whether the rules are switched off.
    fn ignores_all(&self) -> bool {
        self.ignore() == Some(3)
    }

    fn ignore(&self) -> Option<i32> {
        self.get("ignore")?.as_enum_number()
    }

    /// The rules of the items of a list.
    pub(super) fn items(&self) -> Self {
        Self(self.group("repeated").and_then(|rules| message(&rules, "items")))
    }

    /// The rules of the values of a map.
    pub(super) fn values(&self) -> Self {
        Self(self.group("map").and_then(|rules| message(&rules, "values")))
    }

    /// Adds the rules of one value of `kind` to its schema.
    pub(super) fn apply(&self, kind: &Kind, schema: &mut Object) {
        if self.ignores_all() {
            return;
        }
        match kind {
            Kind::String => self.string(schema),
            Kind::Bytes => {}
            Kind::Enum(descriptor) => self.enumeration(descriptor, schema),
            Kind::Bool => {
                if let Some(value) = self.group("bool").and_then(|rules| get(&rules, "const")) {
                    schema.insert("const".into(), plain(&value));
                }
            }
            Kind::Message(_) => {}
            number => self.number(number_rules(number), schema),
        }
    }

    /// Adds the rules of a list to its schema.
    pub(super) fn apply_list(&self, schema: &mut Object) {
        if self.ignores_all() {
            return;
        }
        if let Some(rules) = self.group("repeated") {
            copy(
                &rules,
                schema,
                &[
                    ("min_items", "minItems"),
                    ("max_items", "maxItems"),
                    ("unique", "uniqueItems"),
                ],
            );
        }
        if self.required() {
            schema.entry("minItems").or_insert(json!(1));
        }
    }

    /// Adds the rules of a map to its schema.
    pub(super) fn apply_map(&self, schema: &mut Object) {
        if let Some(rules) = self.group("map") {
            copy(
                &rules,
                schema,
                &[("min_pairs", "minProperties"), ("max_pairs", "maxProperties")],
            );
        }
    }

    fn string(&self, schema: &mut Object) {
        let Some(rules) = self.group("string") else {
            if self.required() {
                schema.insert("minLength".into(), json!(1));
            }
            return;
        };
        // A byte is at most a character, so the bound in bytes holds for characters as well.
        copy(
            &rules,
            schema,
            &[
                ("min_len", "minLength"),
                ("max_bytes", "maxLength"),
                ("max_len", "maxLength"),
                ("const", "const"),
            ],
        );
        copy(&rules, schema, &[("len", "minLength"), ("len", "maxLength")]);
        for pattern in patterns(&rules) {
            add_pattern(schema, pattern);
        }
        let formats = [
            ("email", "email"),
            ("hostname", "hostname"),
            ("ipv4", "ipv4"),
            ("ipv6", "ipv6"),
            ("uri", "uri"),
            ("uri_ref", "uri-reference"),
            ("uuid", "uuid"),
        ];
        for (rule, format) in formats {
            if get(&rules, rule).is_some_and(|value| value.as_bool() == Some(true)) {
                schema.insert("format".into(), json!(format));
            }
        }
        if get(&rules, "ip").is_some_and(|value| value.as_bool() == Some(true)) {
            // Of either version, for which there is no format; the rest is for the service to refuse.
            add_pattern(schema, "^[0-9A-Fa-f:.]+$".to_owned());
        }
        let mut values: Vec<Value> = list(&rules, "in");
        if !values.is_empty() {
            if self.ignores_default() {
                values.push(json!(""));
            }
            schema.insert("enum".into(), values.into());
        } else if self.required() {
            schema.entry("minLength").or_insert(json!(1));
        } else if self.ignores_default() && !takes_empty(schema) {
            // The empty string is allowed beside what the rules allow.
            let ruled = std::mem::take(schema);
            schema.insert("anyOf".into(), json!([{"type": "string", "const": ""}, ruled]));
        }
        let refused = list(&rules, "not_in");
        if !refused.is_empty() {
            schema.insert("not".into(), json!({"enum": refused}));
        }
    }

    fn number(&self, group: &str, schema: &mut Object) {
        if let Some(rules) = self.group(group) {
            for (rule, keyword, other) in [
                ("gte", "minimum", None),
                ("lte", "maximum", None),
                ("gt", "exclusiveMinimum", Some("minimum")),
                ("lt", "exclusiveMaximum", Some("maximum")),
            ] {
                if let Some(value) = get(&rules, rule) {
                    other.map(|other| schema.remove(other));
                    schema.insert(keyword.into(), plain(&value));
                }
            }
            copy(&rules, schema, &[("const", "const")]);
            let values = list(&rules, "in");
            if !values.is_empty() {
                schema.insert("enum".into(), values.into());
            }
        }
        // Zero means "not set".
        let low = schema.get("minimum").and_then(Value::as_f64);
        if self.required() && low.is_none_or(|low| low <= 0.0) && !schema.contains_key("exclusiveMinimum") {
            schema.insert("not".into(), json!({"const": 0}));
        }
    }

    fn enumeration(&self, descriptor: &EnumDescriptor, schema: &mut Object) {
        let rules = self.group("enum");
        let numbers = |name| rules.as_ref().map(|rules| list(rules, name)).unwrap_or_default();
        let (only, not) = (numbers("in"), numbers("not_in"));
        let constant = rules
            .as_ref()
            .and_then(|rules| get(rules, "const"))
            .map(|value| plain(&value));
        let names = printed(descriptor).filter(|value| {
            let number = json!(value.number());
            (only.is_empty() || only.contains(&number))
                && !not.contains(&number)
                && constant.as_ref().is_none_or(|constant| *constant == number)
                && !(self.required() && value.number() == 0)
        });
        schema.insert("enum".into(), names.map(|value| json!(value.name())).collect());
    }

    fn get(&self, name: &str) -> Option<Proto> {
        get(self.0.as_ref()?, name)
    }

    /// The rules of one type, such as `string`.
    fn group(&self, name: &str) -> Option<DynamicMessage> {
        message(self.0.as_ref()?, name)
    }
}

/// The patterns that a string has to match.
fn patterns(rules: &DynamicMessage) -> Vec<String> {
    let text = |name| get(rules, name).and_then(|value| value.as_str().map(regex::escape));
    let pattern = get(rules, "pattern").and_then(|value| value.as_str().map(str::to_owned));
    let affixes = [
        text("prefix").map(|text| format!("^{text}")),
        text("suffix").map(|text| format!("{text}$")),
        text("contains"),
    ];
    pattern.into_iter().chain(affixes.into_iter().flatten()).collect()
}

/// A schema has one `pattern`; further ones stand in `allOf`.
pub(super) fn add_pattern(schema: &mut Object, pattern: String) {
    if !schema.contains_key("pattern") {
        schema.insert("pattern".into(), pattern.into());
        return;
    }
    if let Some(all) = schema.entry("allOf").or_insert_with(|| json!([])).as_array_mut() {
        all.push(json!({"pattern": pattern}));
    }
}
