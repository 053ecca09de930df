//! The `Location` of what a call has created, from a template over fields of its reply.

use http::HeaderValue;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::routes::percent;

/// A compiled template.
#[derive(Debug)]
pub(super) struct Location(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Field(Vec<FieldDescriptor>),
}

impl Location {
    /// Compiles a template such as `/api/v1/users/{user.id}`.
    pub(super) fn compile(template: &str, output: &MessageDescriptor) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (path, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{template}`: a `{{` is not closed"))?;
            parts.push(Part::Text(text.to_owned()));
            parts.push(Part::Field(chain(path, output)?));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The header's value; `None` when a field is empty, since the address would lead elsewhere.
    pub(super) fn fill(&self, message: &DynamicMessage) -> Option<HeaderValue> {
        let mut location = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => location.push_str(text),
                Part::Field(chain) => {
                    let text = text(message, chain)?;
                    percent::encode_into(&text, &mut location);
                }
            }
        }
        HeaderValue::try_from(location).ok()
    }
}

fn chain(path: &str, output: &MessageDescriptor) -> Result<Vec<FieldDescriptor>, String> {
    let mut message = Some(output.clone());
    let mut chain = Vec::new();
    for name in path.split('.') {
        let field = message
            .take()
            .and_then(|message| message.get_field_by_name(name))
            .filter(|field| !field.is_list() && !field.is_map())
            .ok_or_else(|| format!("location: `{name}` in `{path}` is no single field of the reply"))?;
        if let Kind::Message(inner) = field.kind() {
            message = Some(inner);
        }
        chain.push(field);
    }
    match message {
        None => Ok(chain),
        Some(_) => Err(format!("location: `{path}` is a message")),
    }
}

fn text(message: &DynamicMessage, chain: &[FieldDescriptor]) -> Option<String> {
    let (field, rest) = chain.split_first()?;
    let value = message.get_field(field);
    if !rest.is_empty() {
        return text(value.as_message()?, rest);
    }
    let text = match &*value {
        Value::String(text) => text.clone(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
