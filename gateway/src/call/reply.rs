//! The HTTP reply to a single message.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};

use super::plan::Plan;
use super::plan::reply::ReplyPlan;
use super::{cookie, plan, status};
use crate::problem::Problem;
use crate::transcode::json::{Unwritable, Writer};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The reply that `message` becomes, with the cookies that it sets.
///
/// # Errors
/// 500 `INTERNAL` when the backend sent what has no JSON form, and what the cookies fail with.
pub(super) fn unary(plan: &Plan, message: Bytes, cookies: cookie::Exchange<'_>) -> Result<Response<Body>, Problem> {
    let ReplyPlan { status, location, .. } = &plan.reply;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = *status;
    let has_body = *status != StatusCode::NO_CONTENT;
    if !has_body && !plan.cookies.are_set() && location.is_none() {
        return Ok(response);
    }
    let mut message = decode(plan, message)?;
    let set = cookies.set(&mut message)?;
    let headers = response.headers_mut();
    headers.extend(set.into_iter().map(|cookie| (header::SET_COOKIE, cookie)));
    if let Some(location) = location.as_ref().and_then(|location| location.fill(&message)) {
        headers.insert(header::LOCATION, location);
    }
    if has_body {
        let (content_type, body) = match &plan.reply.body {
            plan::reply::Body::Raw(field) => raw(&message, field.as_ref()),
            _ => (JSON, Bytes::from(json(plan, &message)?)),
        };
        headers.insert(header::CONTENT_TYPE, content_type);
        *response.body_mut() = Body::from(body);
    }
    Ok(response)
}

/// A message of the backend.
pub(super) fn decode(plan: &Plan, message: Bytes) -> Result<DynamicMessage, Problem> {
    DynamicMessage::decode(plan.reply.message.clone(), message)
        .map_err(|error| status::internal(&format!("the reply of {} does not decode: {error}", plan.target.path)))
}

/// The reply's body in JSON.
pub(super) fn json(plan: &Plan, message: &DynamicMessage) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(512);
    write(plan, message, &mut out)
        .map_err(|error| status::internal(&format!("the reply of {} has no JSON form: {error}", plan.target.path)))?;
    Ok(out)
}

fn write(plan: &Plan, message: &DynamicMessage, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let mut writer = Writer::new(out, &plan.reply.omitted);
    match &plan.reply.body {
        plan::reply::Body::Field(field) if field.supports_presence() && !message.has_field(field) => {
            out.extend_from_slice(b"null");
            Ok(())
        }
        plan::reply::Body::Field(field) => writer.field(field, &message.get_field(field)),
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
pub(super) fn drop_body(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact()
        && response.status() != StatusCode::NO_CONTENT
    {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}
