//! Realistic values, so that the docs page can be tried at once.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind};
use quartet_proto::options;
use serde_json::{Value, json};

use super::object::Object;
use crate::transcode::text::printed;

/// Values of fields whose name alone does not say what they hold: a part of the message's name, the
/// field, and its values.
const BY_MESSAGE: &[(&str, &str, &[&str])] = &[
    ("RateLimit", "name", &["todos"]),
    ("Tier", "name", &["pro"]),
    ("Tag", "name", &["home"]),
    ("Queue", "name", &["default"]),
    ("Schedule", "name", &["remind-due"]),
    ("Webhook", "url", &["https://example.com/hooks/todos"]),
    (
        "SendEmailResult",
        "message_id",
        &["<01890a5d-ac96-774b-bcce-b302099a8057@example.com>"],
    ),
];

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
    (
        "download_url",
        &["/api/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057/result?expires=…&signature=…"],
    ),
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
    ("etag", &["2f0fcb5b0a7e4d0c9a1b8e6f3d2c1b0a"]),
    ("next_page_token", &[""]),
    ("trace_id", &["4bf92f3577b34da6a3ce929d0e0e4736"]),
    ("kind", &["export_todos"]),
    ("note", &[""]),
    ("unique_key", &[""]),
];

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const TIMESTAMP: &str = "2026-01-31T09:30:00Z";
/// For what is yet to come.
const LATER: &str = "2030-01-31T09:30:00Z";

/// Fields that a thing has only after something has happened to it that has not happened in the examples.
const ABSENT: &[&str] = &[
    "deleted_at",
    "completed_at",
    "pending_email",
    "started_at",
    "finished_at",
    "last_run_at",
    "error",
    "sent",
    "export",
    "import",
    "reminded",
    "purged",
    "delivered",
];

/// Of the kinds of tasks, the one in the examples.
const SHOWN: &str = "export_todos";

/// What is true of the things in the examples.
const TRUE: &[&str] = &["enabled", "email_verified", "current", "total_is_exact"];

/// A value that is set, of an enum.
pub(super) fn enumeration(descriptor: &EnumDescriptor) -> Value {
    let value = printed(descriptor).find(|value| value.number() != 0);
    json!(value.unwrap_or_else(|| descriptor.default_value()).name())
}

/// Whether a thing in the examples has the field: of a oneof, it has the first one.
pub(super) fn is_there(field: &FieldDescriptor) -> bool {
    let of_oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    let is_other = of_oneof.is_some_and(|oneof| {
        let shown = oneof.fields().find(|field| field.name() == SHOWN);
        shown.or_else(|| oneof.fields().next()).as_ref() != Some(field)
    });
    let is_absent = field.supports_presence() && ABSENT.contains(&field.name());
    !is_other && !is_absent
}

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
        Kind::Bool => Some(json!(TRUE.contains(&field.name()))),
        Kind::String => text(field, schema).map(Value::from),
        Kind::Enum(descriptor) if descriptor.full_name() == "google.protobuf.NullValue" => None,
        Kind::Enum(descriptor) => match schema.get("enum").and_then(Value::as_array) {
            Some(names) => {
                let unset = printed(&descriptor).find(|value| value.number() == 0);
                let is_set =
                    |name: &&Value| unset.as_ref().is_none_or(|unset| **name != unset.name()) && name.is_string();
                names.iter().find(is_set).cloned()
            }
            None => Some(enumeration(&descriptor)),
        },
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => {
                let is_to_come = ["due_at", "run_at", "expires_at"]
                    .iter()
                    .any(|end| field.name().ends_with(end));
                Some(json!(if is_to_come { LATER } else { TIMESTAMP }))
            }
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
        "device_expires_in" => 15_552_000,
        "within_seconds" | "result_ttl_seconds" => 86_400,
        "older_than_seconds" => 2_592_000,
        "max_attempts" => 5,
        "recovery_codes_left" => 10,
        "status_code" => 200,
        "attempts" | "progress" | "rejected" | "scheduled" | "queued" | "running" | "dead" => 0,
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
    let message = field.parent_message();
    let by_message = BY_MESSAGE
        .iter()
        .find(|(part, of, _)| *of == name && message.name().contains(part))
        .map(|(.., values)| *values);
    let candidates: &[&str] = match schema.get("format").and_then(Value::as_str) {
        _ if by_message.is_some() => by_message.unwrap_or_default(),
        // Clients that are not registered have no id.
        _ if name == "client_id" => return None,
        Some("uuid") => &[ID],
        Some("email") => &["ada@example.com"],
        Some("uri") if name.ends_with("image_url") || name == "avatar_url" => &["https://example.com/ada.png"],
        Some("uri") => &["https://example.com/"],
        Some(_) => return None,
        None if is_id(name) && name != "trace_id" => &[ID],
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
