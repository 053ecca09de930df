//! The message of a request: its body, then its query, its cookies and its path, each allowed only
//! its own fields.

use std::borrow::Cow;

use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use http_body::Body as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use super::content::{self, Content};
use super::cookie;
use super::plan::Plan;
use super::plan::request::Body;
use crate::problem::Problem;
use crate::transcode::json::{Reader, Recorded};
use crate::transcode::query;
use crate::transcode::violations::Violations;

/// The message of a request whose body is read whole.
///
/// # Errors
/// What is wrong with the request.
pub(super) async fn assemble(
    plan: &Plan,
    parts: &Parts,
    captures: &[Cow<'_, str>],
    body: axum::body::Body,
    cookies: &cookie::Exchange<'_>,
) -> Result<DynamicMessage, Problem> {
    let mut message = DynamicMessage::new(plan.request.message.clone());
    let named = match &plan.request.body {
        Body::Ignored => Recorded::new(),
        Body::Refused => {
            refuse(body).await?;
            Recorded::new()
        }
        Body::Raw(field) => {
            let data = content::read(body).await?;
            let content_type = parts
                .headers
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok());
            set_raw(&mut message, field.as_ref(), content_type, data);
            Recorded::new()
        }
        Body::Whole | Body::Field(..) => {
            let form = matches!(plan.request.body, Body::Whole | Body::Field(_, true));
            // The type of an empty body does not matter.
            let kind = if body.is_end_stream() {
                Content::Json
            } else {
                content::content(&parts.headers, &parts.method, form)?
            };
            let data = content::read(body).await?;
            fill(plan, &mut message, kind, &data)?
        }
    };
    finish(plan, &mut message, parts, captures, cookies)?;
    infer_mask(plan, &mut message, named)?;
    Ok(message)
}

/// The message of a request whose body streams up beside it.
///
/// # Errors
/// As [`assemble`].
pub(super) fn without_body(
    plan: &Plan,
    parts: &Parts,
    captures: &[Cow<'_, str>],
    cookies: &cookie::Exchange<'_>,
) -> Result<DynamicMessage, Problem> {
    let mut message = DynamicMessage::new(plan.request.message.clone());
    finish(plan, &mut message, parts, captures, cookies)?;
    Ok(message)
}

/// Reads the body into `message`. Returns the paths of the fields that it names, from the body
/// down, if a mask is to be made of them.
fn fill(plan: &Plan, message: &mut DynamicMessage, kind: Content, data: &Bytes) -> Result<Recorded, Problem> {
    let field = match &plan.request.body {
        Body::Field(field, _) => Some(field),
        _ => None,
    };
    if kind == Content::Form {
        let text =
            std::str::from_utf8(data).map_err(|_| Problem::bad_request("form-encoding", "the form is not UTF-8"))?;
        let target = match field {
            Some(field) => match message.get_field_mut(field) {
                Value::Message(inner) => inner,
                _ => return Ok(Recorded::new()),
            },
            None => message,
        };
        return query::apply(text, target, &plan.request.form);
    }
    if data.iter().all(u8::is_ascii_whitespace) {
        // No body is an empty one.
        if let Some(field) = field
            && let Kind::Message(inner) = field.kind()
            && !field.is_list()
            && !field.is_map()
        {
            message.set_field(field, Value::Message(DynamicMessage::new(inner)));
        }
        return Ok(Recorded::new());
    }
    let mut reader = Reader::new(data, &plan.request.query.barred)?;
    if plan.request.mask.is_some() {
        reader = reader.recording();
    }
    match (field, &plan.request.body) {
        // The body's own message is read in place, so that the paths of its fields start at the
        // body.
        (Some(field), Body::Field(_, true)) => match message.get_field_mut(field) {
            Value::Message(inner) => reader.message(inner),
            _ => Ok(Recorded::new()),
        },
        (Some(field), _) => reader.field(message, field),
        (None, _) => reader.message(message),
    }
}

fn finish(
    plan: &Plan,
    message: &mut DynamicMessage,
    parts: &Parts,
    captures: &[Cow<'_, str>],
    cookies: &cookie::Exchange<'_>,
) -> Result<(), Problem> {
    if let Some(raw) = parts.uri.query().filter(|raw| !raw.is_empty()) {
        if raw.len() > query::MAX_QUERY {
            let problem = Problem::bad_request("query-too-long", "the query is over 32 KiB");
            return Err(Problem {
                status: StatusCode::URI_TOO_LONG,
                ..problem
            });
        }
        query::apply(raw, message, &plan.request.query)?;
    }
    plan.events.resume(message, &parts.headers);
    cookies.fill(message);
    let mut violations = Violations::default();
    for (chain, text) in plan.binding.path_fields.iter().zip(captures) {
        if let Err(broken) = query::bind(message, chain, text) {
            for field in chain {
                violations.enter(field.name());
            }
            violations.add(broken);
            violations.leave(0);
        }
    }
    violations.check()
}

/// Makes the update mask of a PATCH from the fields that its body names: a field with `null` is
/// cleared, an absent one stays.
fn infer_mask(plan: &Plan, message: &mut DynamicMessage, named: Recorded) -> Result<(), Problem> {
    let (Some(mask), Body::Field(body, _)) = (&plan.request.mask, &plan.request.body) else {
        return Ok(());
    };
    let Kind::Message(descriptor) = mask.kind() else {
        return Ok(());
    };
    if let Some(given) = message.get_field(mask).as_message()
        && given
            .get_field_by_number(1)
            .is_some_and(|paths| !paths.as_list().unwrap_or_default().is_empty())
    {
        return Ok(());
    }
    if named.is_empty() {
        // To a service an empty mask means every field; a PATCH that names none must not clear
        // them.
        return Err(Problem::field(
            body.name(),
            "REQUIRED",
            "give at least one field to change",
        ));
    }
    let mut inferred = DynamicMessage::new(descriptor);
    inferred.set_field_by_number(1, Value::List(named.into_iter().map(Value::String).collect()));
    message.set_field(mask, Value::Message(inferred));
    Ok(())
}

/// Sets the `google.api.HttpBody` at `field`, or `message` itself, to a content type and data.
pub(super) fn set_raw(
    message: &mut DynamicMessage,
    field: Option<&FieldDescriptor>,
    content_type: Option<&str>,
    data: Bytes,
) {
    let target = match field {
        Some(field) => match message.get_field_mut(field) {
            Value::Message(inner) => inner,
            _ => return,
        },
        None => message,
    };
    debug_assert_eq!(target.descriptor().full_name(), "google.api.HttpBody");
    if let Some(content_type) = content_type {
        target.set_field_by_number(1, Value::String(content_type.to_owned()));
    }
    target.set_field_by_number(2, Value::Bytes(data));
}

/// Checks that there is no body. One byte is enough to refuse it.
async fn refuse(body: axum::body::Body) -> Result<(), Problem> {
    use http_body_util::BodyExt;
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| content::unread(&error))?;
        if frame.data_ref().is_some_and(|data| !data.is_empty()) {
            return Err(Problem::bad_request("body-refused", "the path takes no body"));
        }
    }
    Ok(())
}
