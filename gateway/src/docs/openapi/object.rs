//! JSON objects that become schemas.

use serde_json::{Map, Value, json};

/// A JSON object in the making.
pub(super) type Object = Map<String, Value>;

/// An object of these members.
pub(super) fn object_of<const N: usize>(pairs: [(&str, Value); N]) -> Object {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A reference to the schema of that name.
pub(super) fn reference_to(name: &str) -> Object {
    object_of([("$ref", json!(format!("#/components/schemas/{name}")))])
}

/// Lets a schema take null as well.
pub(super) fn allow_null(schema: &mut Object) {
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        any.push(json!({"type": "null"}));
        return;
    }
    if schema.contains_key("$ref") {
        let described: Vec<_> = ["description", "examples"]
            .into_iter()
            .filter_map(|key| schema.remove_entry(key))
            .collect();
        let inner = std::mem::take(schema);
        schema.insert("anyOf".into(), json!([inner, {"type": "null"}]));
        schema.extend(described);
        return;
    }
    match schema.get_mut("type") {
        Some(Value::String(kind)) if kind != "null" => {
            let both = json!([kind, "null"]);
            schema.insert("type".into(), both);
        }
        Some(Value::Array(kinds)) if !kinds.contains(&json!("null")) => kinds.push(json!("null")),
        // Without a type anything goes.
        _ => return,
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}
