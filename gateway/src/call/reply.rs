//! The HTTP reply to a single message.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};

use super::plan::{Plan, Reply};
use super::status;
use crate::problem::Problem;
use crate::transcode::json::{Unwritable, Writer};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The reply that `message` becomes. `origin` is asked before a cookie is handed out.
///
/// # Errors
/// 500 `INTERNAL` when the backend sent what has no JSON form, and what `origin` says.
pub(super) fn unary(
    plan: &Plan,
    message: Bytes,
    origin: impl Fn() -> Result<(), Problem>,
) -> Result<Response<Body>, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = plan.status;
    if plan.status == StatusCode::NO_CONTENT && plan.cookies_out.is_empty() && plan.location.is_none() {
        return Ok(response);
    }
    let mut message = decode(plan, message)?;
    for cookie in &plan.cookies_out {
        if cookie.is_given(&message) {
            origin()?;
        }
        let cookie = cookie.take(&mut message).map_err(|error| status::internal(&error))?;
        response
            .headers_mut()
            .extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    }
    if let Some(location) = plan.location.as_ref().and_then(|location| location.fill(&message)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if plan.status == StatusCode::NO_CONTENT {
        return Ok(response);
    }
    let (content_type, body) = match &plan.reply {
        Reply::Raw(field) => raw(&message, field.as_ref()),
        _ => (JSON, Bytes::from(json(plan, &message)?)),
    };
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    *response.body_mut() = Body::from(body);
    Ok(response)
}

/// A message of the backend.
pub(super) fn decode(plan: &Plan, message: Bytes) -> Result<DynamicMessage, Problem> {
    DynamicMessage::decode(plan.output.clone(), message)
        .map_err(|error| status::internal(&format!("the reply of {} does not decode: {error}", plan.path)))
}

/// What the reply's body is in JSON.
pub(super) fn json(plan: &Plan, message: &DynamicMessage) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(512);
    write(plan, message, &mut out)
        .map_err(|error| status::internal(&format!("the reply of {} has no JSON form: {error}", plan.path)))?;
    Ok(out)
}

fn write(plan: &Plan, message: &DynamicMessage, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let mut writer = Writer::new(out, &plan.omitted);
    match &plan.reply {
        Reply::Field(field) if field.supports_presence() && !message.has_field(field) => {
            out.extend_from_slice(b"null");
            Ok(())
        }
        Reply::Field(field) => writer.field(field, &message.get_field(field)),
        _ => writer.message(message),
    }
}

/// Content type and data of the `google.api.HttpBody` at `field`, or of `message` itself.
pub(super) fn raw(message: &DynamicMessage, field: Option<&FieldDescriptor>) -> (HeaderValue, Bytes) {
    match field {
        Some(field) => message
            .get_field(field)
            .as_message()
            .map_or_else(|| parts(message), parts),
        None => parts(message),
    }
}

fn parts(body: &DynamicMessage) -> (HeaderValue, Bytes) {
    let content_type = body
        .get_field_by_number(1)
        .and_then(|value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .and_then(|text| HeaderValue::from_str(text).ok())
        })
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let data = match body.get_field_by_number(2).as_deref() {
        Some(Value::Bytes(data)) => data.clone(),
        _ => Bytes::new(),
    };
    (content_type, data)
}

/// Makes the reply to a GET one to a HEAD: the same headers, its length included, and no body.
pub(super) fn behead(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact()
        && response.status() != StatusCode::NO_CONTENT
    {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}
