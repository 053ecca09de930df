//! Transcodes a request of any method to REST, by the method's HTTP rule. It supports only what the
//! HTTP rules of the suite's own contracts use.

use http::Method;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage, SerializeOptions, Value};
use quartet_proto::options;
use serde_json::Value as Json;

/// A request over REST.
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The body, if the method has one.
    pub body: Option<Json>,
    /// The header `If-Match`, if the request has the field for it.
    pub if_match: Option<String>,
}

/// The request that carries `message` over REST by the first HTTP rule of `method`; `None` without
/// a rule.
pub fn call(method: &MethodDescriptor, message: &DynamicMessage) -> Option<Call> {
    let extension = method.parent_pool().get_extension_by_name("google.api.http")?;
    let declared = method.options();
    if !declared.has_extension(&extension) {
        return None;
    }
    let rule = declared.get_extension(&extension).as_message().expect("a rule").clone();
    let text = |name: &str| {
        rule.get_field_by_name(name)
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let verbs = [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ];
    let (verb, template) = verbs
        .into_iter()
        .map(|(name, verb)| (verb, text(name)))
        .find(|(_, template)| !template.is_empty())?;

    let mut rest = message.clone();
    let mut path = template.clone();
    let field = message.descriptor().fields().find(options::if_match);
    let etag = field.filter(|field| message.has_field(field)).map(|field| {
        rest.clear_field(&field);
        message.get_field(&field).as_str().expect("an etag is text").to_owned()
    });
    for field in message.descriptor().fields() {
        let variable = format!("{{{}}}", field.name());
        if template.contains(&variable) {
            let value = message.get_field(&field);
            path = path.replace(&variable, &escaped(value.as_str().expect("path variables are texts")));
            rest.clear_field(&field);
        }
    }
    let body = text("body");
    let body = match body.as_str() {
        "" => None,
        "*" => Some(json(
            &std::mem::replace(&mut rest, DynamicMessage::new(message.descriptor())),
            true,
        )),
        field => {
            rest.clear_field_by_name("update_mask");
            let value = rest.get_field_by_name(field).expect("the body is a field").into_owned();
            rest.clear_field_by_name(field);
            Some(json(value.as_message().expect("the body is a message"), false))
        }
    };
    let query = query(&rest);
    let path = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    Some(Call {
        method: verb,
        path,
        body,
        if_match: etag,
    })
}

/// A message as ProtoJSON under the names of the contract.
fn json(message: &DynamicMessage, skip_defaults: bool) -> Json {
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(skip_defaults);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("a message has a JSON form")
}

fn query(message: &DynamicMessage) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (field, value) in message.fields() {
        match value {
            Value::List(items) => {
                for item in items {
                    query.append_pair(field.name(), &plain(item));
                }
            }
            value => {
                query.append_pair(field.name(), &plain(value));
            }
        }
    }
    query.finish()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::I32(number) | Value::EnumNumber(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        other => panic!("{other:?} in a query is not supported"),
    }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
