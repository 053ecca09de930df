//! The `Location` of what a call has created, from a template over fields of its reply.

use std::borrow::Cow;

use http::HeaderValue;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::routes::percent;
use crate::transcode::received::{Received, Scalar};

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
    pub(super) fn fill(&self, message: &Received) -> Option<HeaderValue> {
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

fn text<'m>(message: &'m Received, chain: &[FieldDescriptor]) -> Option<Cow<'m, str>> {
    let text = match message.get_in(chain)? {
        Scalar::Text(text) => text,
        Scalar::Signed(number) => number.to_string().into(),
        Scalar::Unsigned(number) => number.to_string().into(),
        Scalar::Bool(value) => value.to_string().into(),
    };
    (!text.is_empty()).then_some(text)
}
