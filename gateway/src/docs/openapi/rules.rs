//! The rules of `buf.validate`, as keywords of JSON Schema.

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage, Value as Proto};
use serde_json::{Value, json};

use super::Object;

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

    /// Whether the value must be there, and for a field without presence be another than its default.
    pub(super) fn required(&self) -> bool {
        self.get("required")
            .and_then(|value| value.as_bool())
            .unwrap_or_default()
    }

    /// Whether a default value passes whatever the rules say.
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
        let mut values: Vec<Value> = list(&rules, "in");
        if !values.is_empty() {
            if self.ignores_default() {
                values.push(json!(""));
            }
            schema.insert("enum".into(), values.into());
        } else if self.required() {
            schema.entry("minLength").or_insert(json!(1));
        } else if self.ignores_default() && !schema_takes_empty(schema) {
            // The empty string stands beside what the rules allow.
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
        // Zero is how "not set" looks.
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
        let names = descriptor.values().filter(|value| {
            let number = json!(value.number());
            (only.is_empty() || only.contains(&number))
                && !not.contains(&number)
                && constant.as_ref().is_none_or(|constant| *constant == number)
                && !(self.required() && value.number() == 0)
        });
        schema.insert("enum".into(), names.map(|value| json!(value.name())).collect());
    }

    /// Whether the default value of a field without presence (or the absence of one with presence) breaks the rules, so that a client has to send
    /// the field.
    pub(super) fn needed(&self, field: &FieldDescriptor) -> bool {
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
                !schema_takes_empty(&schema)
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

    fn get(&self, name: &str) -> Option<Proto> {
        get(self.0.as_ref()?, name)
    }

    /// The rules of one type, as `string`.
    fn group(&self, name: &str) -> Option<DynamicMessage> {
        message(self.0.as_ref()?, name)
    }
}

/// Whether the empty string passes the keywords of a schema.
fn schema_takes_empty(schema: &Object) -> bool {
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

fn number_rules(kind: &Kind) -> &'static str {
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
fn get(rules: &DynamicMessage, name: &str) -> Option<Proto> {
    let field = rules.descriptor().get_field_by_name(name)?;
    rules.has_field(&field).then(|| rules.get_field(&field).into_owned())
}

fn message(rules: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    get(rules, name)?.as_message().cloned()
}

fn list(rules: &DynamicMessage, name: &str) -> Vec<Value> {
    get(rules, name)
        .and_then(|value| Some(value.as_list()?.iter().map(plain).collect()))
        .unwrap_or_default()
}

fn copy(rules: &DynamicMessage, schema: &mut Object, names: &[(&str, &str)]) {
    for (rule, keyword) in names {
        if let Some(value) = get(rules, rule) {
            schema.insert((*keyword).into(), plain(&value));
        }
    }
}

/// A scalar as JSON.
fn plain(value: &Proto) -> Value {
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
