//! Versions of resources: `If-Match` fills the field of the request that demands one, and the field
//! `etag` of a reply becomes `ETag` (RFC 9110 §8.8.3, §13.1.1).

use http::{HeaderMap, HeaderValue, header};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options;

use crate::problem::Problem;
use crate::transcode::received::Received;

use super::status;

/// What a request demands of the resource.
pub(super) struct IfMatch {
    field: FieldDescriptor,
    is_required: bool,
}

impl IfMatch {
    /// The field of the method's request that the header fills; `None` when it has none.
    ///
    /// # Errors
    /// What is wrong with the declaration.
    pub(super) fn of(method: &prost_reflect::MethodDescriptor) -> Result<Option<Self>, String> {
        let is_required = options::precondition_required(method);
        let field = method.input().fields().find(options::if_match);
        match field {
            Some(field) if field.kind() == Kind::String && !field.is_list() => Ok(Some(Self { field, is_required })),
            Some(field) => Err(format!(
                "`{}` is no string, so that If-Match cannot fill it",
                field.name()
            )),
            None if is_required => Err("demands an etag that its request has no field for".to_owned()),
            None => Ok(None),
        }
    }

    /// What the header sets in the request.
    ///
    /// # Errors
    /// 428 `PRECONDITION_REQUIRED` where there has to be a header, and 422 for one without a tag: a client
    /// that lost its etag meant to demand one.
    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Option<(&FieldDescriptor, String)>, Problem> {
        let values: Vec<_> = headers.get_all(header::IF_MATCH).iter().collect();
        if values.is_empty() {
            return match self.is_required {
                true => Err(status::precondition_required()),
                false => Ok(None),
            };
        }
        // What is no text is no tag either, and is refused where the others are parsed.
        let texts: Vec<_> = values
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let text = texts.join(", ");
        if text.chars().all(|character| matches!(character, ' ' | '\t' | ',')) {
            return Err(Problem::field("If-Match", "REQUIRED", "must not be empty"));
        }
        Ok(Some((&self.field, text)))
    }
}

/// The field of a reply that is the version of what it shows.
pub(super) fn field(reply: &MessageDescriptor) -> Option<FieldDescriptor> {
    reply
        .get_field_by_name("etag")
        .filter(|field| field.kind() == Kind::String && !field.is_list())
}

/// The header of a reply; `None` when it has no version.
pub(super) fn header(message: &Received, field: &FieldDescriptor) -> Option<HeaderValue> {
    let tag = message.get(field)?.into_text().filter(|tag| !tag.is_empty())?;
    HeaderValue::try_from(format!("\"{tag}\"")).ok()
}
