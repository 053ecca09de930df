//! The HTTP reply to a single message.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};

use super::plan::Plan;
use super::plan::reply::ReplyPlan;
use super::{cookie, etag, plan, status};
use crate::problem::Problem;
use crate::transcode::field_tree::FieldTree;
use crate::transcode::received::{Failure, Received};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// About as many headers as a reply has once it leaves.
const HEADERS: usize = 20;

/// The reply that `message` becomes, with the cookies that it sets.
///
/// # Errors
/// 500 `INTERNAL` when the backend sent what has no JSON form, and what the cookies fail with.
pub(super) fn unary(
    plan: &Plan,
    message: Bytes,
    fields: Option<&FieldTree>,
    cookies: cookie::Exchange<'_>,
) -> Result<Response<Body>, Problem> {
    let ReplyPlan { status, location, .. } = &plan.reply;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = *status;
    response.headers_mut().reserve(HEADERS);
    let has_body = *status != StatusCode::NO_CONTENT;
    if !has_body && !plan.cookies.are_set() && location.is_none() {
        return Ok(response);
    }
    let message = receive(plan, message)?;
    let content = match &plan.reply.body {
        // The fields below are read of what is known to be a message.
        _ if !has_body => {
            plan.reply
                .reader
                .check(&message)
                .map_err(|failure| failed(plan, &failure))?;
            None
        }
        plan::reply::Body::Raw(field) => Some(raw(&message, field.as_ref())),
        _ => Some((JSON, Bytes::from(json_of(plan, &message, fields)?))),
    };
    let set = cookies.set(&message)?;
    let headers = response.headers_mut();
    headers.extend(set.into_iter().map(|cookie| (header::SET_COOKIE, cookie)));
    if let Some(location) = location.as_ref().and_then(|location| location.fill(&message)) {
        headers.insert(header::LOCATION, location);
    }
    if let Some(etag) = plan.reply.etag.as_ref().and_then(|field| etag::header(&message, field)) {
        headers.insert(header::ETAG, etag);
    }
    if let Some((content_type, body)) = content {
        headers.insert(header::CONTENT_TYPE, content_type);
        *response.body_mut() = Body::from(body);
    }
    Ok(response)
}

/// A message of the backend.
pub(super) fn receive(plan: &Plan, message: Bytes) -> Result<Received, Problem> {
    let received = plan.reply.reader.receive(message);
    received.map_err(|failure| failed(plan, &failure))
}

/// The reply's body in JSON.
pub(super) fn json(plan: &Plan, message: &Received) -> Result<Vec<u8>, Problem> {
    json_of(plan, message, None)
}

/// These fields of the reply's body in JSON.
fn json_of(plan: &Plan, message: &Received, fields: Option<&FieldTree>) -> Result<Vec<u8>, Problem> {
    let json = plan.reply.reader.write(message, fields);
    json.map_err(|failure| failed(plan, &failure))
}

fn failed(plan: &Plan, failure: &Failure) -> Problem {
    status::internal(&format!("the reply of {} {failure}", plan.target.path))
}

/// Content type and data of the `google.api.HttpBody` at `field`, or of `message` itself.
pub(super) fn raw(message: &Received, field: Option<&FieldDescriptor>) -> (HeaderValue, Bytes) {
    match message.message() {
        Some(message) => raw_of(message, field),
        None => (OCTETS, Bytes::new()),
    }
}

fn raw_of(message: &DynamicMessage, field: Option<&FieldDescriptor>) -> (HeaderValue, Bytes) {
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
        .unwrap_or(OCTETS);
    let data = match body.get_field_by_number(2).as_deref() {
        Some(Value::Bytes(data)) => data.clone(),
        _ => Bytes::new(),
    };
    (content_type, data)
}

/// Makes the reply to a GET one to a HEAD: the same headers, its length included, and no body.
pub(crate) fn drop_body(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact()
        && response.status() != StatusCode::NO_CONTENT
    {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    } else if body.size_hint().exact().is_none() {
        // Neither has the reply to GET a length (RFC 9110 §9.3.2).
        *response.body_mut() = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
    }
}
