//! What becomes of the backend's message: status, headers and body of the reply.

use http::{HeaderName, HeaderValue, StatusCode};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options::Edge;

use crate::call::location::Location;
use crate::call::{deprecation, etag};
use crate::routes::Binding;
use crate::transcode::known::is_http_body;
use crate::transcode::received::Reader;

/// The reply's side of a plan.
pub(in crate::call) struct ReplyPlan {
    pub(in crate::call) message: MessageDescriptor,
    pub(in crate::call) body: Body,
    /// How replies are read and written.
    pub(in crate::call) reader: Reader,
    pub(in crate::call) status: StatusCode,
    pub(in crate::call) location: Option<Location>,
    /// The version of what the reply shows.
    pub(in crate::call) etag: Option<FieldDescriptor>,
    /// Headers of every reply.
    pub(in crate::call) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What becomes the reply's body.
#[derive(Debug, Clone)]
pub(in crate::call) enum Body {
    /// The whole message.
    Whole,
    /// One field.
    Field(FieldDescriptor),
    /// The data of a `google.api.HttpBody`: of that field, or of the reply itself.
    Raw(Option<FieldDescriptor>),
}

impl ReplyPlan {
    pub(super) fn compile(binding: &Binding, edge: &Edge, omitted: Vec<FieldDescriptor>) -> Result<Self, String> {
        let message = binding.method.output();
        let location = match edge.location.as_str() {
            "" => None,
            template => Some(Location::compile(template, &message)?),
        };
        let headers = edge.deprecation.as_ref().map(deprecation::headers).transpose()?;
        let body = body(binding, &message);
        Ok(Self {
            etag: etag::field(&message).filter(|_| matches!(body, Body::Whole)),
            reader: match &body {
                Body::Whole => Reader::json(message.clone(), None, omitted),
                Body::Field(field) => Reader::json(message.clone(), Some(field.clone()), omitted),
                Body::Raw(_) => Reader::raw(message.clone()),
            },
            body,
            status: status(edge.status)?,
            location,
            headers: headers.unwrap_or_default(),
            message,
        })
    }
}

fn body(binding: &Binding, message: &MessageDescriptor) -> Body {
    match &binding.response_body {
        None if is_http_body(message) => Body::Raw(None),
        None => Body::Whole,
        Some(field) => match field.kind() {
            Kind::Message(message) if !field.is_list() && is_http_body(&message) => Body::Raw(Some(field.clone())),
            _ => Body::Field(field.clone()),
        },
    }
}

fn status(declared: u32) -> Result<StatusCode, String> {
    if declared == 0 {
        return Ok(StatusCode::OK);
    }
    u16::try_from(declared)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(StatusCode::is_success)
        .ok_or_else(|| "the status is no 2xx".to_owned())
}
