//! Realistic values, so that the docs page can be tried at once.

use prost_reflect::{FieldDescriptor, Kind};
use quartet_proto::options;
use serde_json::{Value, json};

use super::object::Object;

/// Values by the name of the field or the end of it; the first one that passes the field's rules is
/// shown.
const BY_NAME: &[(&str, &[&str])] = &[
    ("username_or_email", &["ada"]),
    ("username", &["ada"]),
    ("email", &["ada@example.com"]),
    ("tier_name", &["pro"]),
    ("tier", &["pro"]),
    ("title", &["Buy milk"]),
    ("description", &["Two litres, and bread if there is any."]),
    ("bio", &["Writes the first programs."]),
    ("image_url", &["https://example.com/ada.png"]),
    ("avatar_url", &["https://example.com/ada.png"]),
    ("url", &["https://example.com/"]),
    ("path", &["/api/v1/todos"]),
    ("user_agent", &["Mozilla/5.0"]),
    ("ip_address", &["203.0.113.9"]),
    ("name", &["Ada", "ada"]),
    ("tag", &["home"]),
    ("token_type", &["bearer"]),
    ("kid", &["2026-01"]),
    ("kty", &["OKP"]),
    ("crv", &["Ed25519"]),
    ("alg", &["EdDSA"]),
    ("use", &["sig"]),
];

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const TIMESTAMP: &str = "2026-01-31T09:30:00Z";

/// A value for a field whose schema this is; `None` for secrets, for whole messages, and where no
/// realistic value fits.
pub(super) fn of(field: &FieldDescriptor, schema: &Object) -> Option<Value> {
    if options::secret(field) || field.is_map() {
        return None;
    }
    if field.is_list() {
        // An id of nothing would make the example fail where the list may be empty.
        if is_id(field.name()) && !schema.contains_key("minItems") {
            return Some(json!([]));
        }
        let item = single(field, schema.get("items")?.as_object()?)?;
        return Some(json!([item]));
    }
    single(field, schema)
}

fn single(field: &FieldDescriptor, schema: &Object) -> Option<Value> {
    match field.kind() {
        Kind::Bool => Some(json!(false)),
        Kind::String => text(field, schema).map(Value::from),
        Kind::Enum(descriptor) if descriptor.full_name() == "google.protobuf.NullValue" => None,
        Kind::Enum(descriptor) => match schema.get("enum").and_then(Value::as_array) {
            Some(names) => names.last().cloned(),
            None => descriptor.values().last().map(|value| json!(value.name())),
        },
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => Some(json!(TIMESTAMP)),
            "google.protobuf.Duration" => Some(json!("1.5s")),
            _ => None,
        },
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => whole(field.name(), schema),
        Kind::Int64
        | Kind::Sint64
        | Kind::Sfixed64
        | Kind::Uint64
        | Kind::Fixed64
        | Kind::Float
        | Kind::Double
        | Kind::Bytes => None,
    }
}

fn is_id(name: &str) -> bool {
    name == "id" || name.ends_with("_id") || name.ends_with("_ids")
}

/// A number by name, within the bounds.
fn whole(name: &str, schema: &Object) -> Option<Value> {
    let realistic = match name {
        "page" => 1,
        "items_per_page" | "page_size" => 10,
        "expires_in" => 900,
        "refresh_expires_in" => 604_800,
        "limit" => 100,
        "period" => 60,
        _ => 1,
    };
    let bound = |keyword| schema.get(keyword).and_then(Value::as_i64);
    let (low, high) = (
        bound("minimum").unwrap_or(i64::MIN),
        bound("maximum").unwrap_or(i64::MAX),
    );
    let free = !["exclusiveMinimum", "exclusiveMaximum", "enum", "const"]
        .iter()
        .any(|keyword| schema.contains_key(*keyword));
    (free && low <= high).then(|| json!(realistic.clamp(low, high)))
}

fn text(field: &FieldDescriptor, schema: &Object) -> Option<String> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values
            .iter()
            .filter_map(Value::as_str)
            .find(|value| !value.is_empty())
            .map(str::to_owned);
    }
    let name = field.name();
    let candidates: &[&str] = match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => &[ID],
        Some("email") => &["ada@example.com"],
        Some("uri") => &["https://example.com/ada.png"],
        Some(_) => return None,
        None if is_id(name) => &[ID],
        None => BY_NAME
            .iter()
            .find(|(end, _)| name == *end || name.ends_with(&format!("_{end}")))
            .map(|(_, values)| *values)?,
    };
    candidates
        .iter()
        .find(|value| passes(value, schema))
        .map(|value| (*value).to_owned())
}

/// Whether a text passes the keywords of a schema.
pub(super) fn passes(value: &str, schema: &Object) -> bool {
    let length = value.chars().count() as u64;
    let bound = |keyword| schema.get(keyword).and_then(Value::as_u64);
    let matches = |pattern: &str| regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(value));
    let pattern = schema.get("pattern").and_then(Value::as_str).is_none_or(matches);
    let any = schema.get("anyOf").and_then(Value::as_array);
    bound("minLength").is_none_or(|low| length >= low)
        && bound("maxLength").is_none_or(|high| length <= high)
        && pattern
        && schema.get("const").is_none_or(|constant| constant == value)
        && any.is_none_or(|any| {
            any.iter()
                .filter_map(Value::as_object)
                .any(|schema| passes(value, schema))
        })
}
