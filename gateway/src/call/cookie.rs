//! Fields that browsers carry as cookies (`quartet.options.v1.cookie`, RFC 6265).

use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use quartet_proto::options;

use super::Config;
use super::plan::Plan;
use crate::problem::Problem;

/// A request field and the cookie that fills it.
#[derive(Debug)]
pub(super) struct Incoming {
    field: FieldDescriptor,
    name: String,
    /// `Set-Cookie` that deletes it.
    deletion: HeaderValue,
}

/// A reply field and the cookie that it becomes.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) field: FieldDescriptor,
    name: String,
    max_age: Option<FieldDescriptor>,
    /// Everything after the value but the lifetime.
    attributes: String,
}

/// The fields of a request that cookies fill.
pub(super) fn incoming(message: &MessageDescriptor, secure: bool) -> Result<Vec<Incoming>, String> {
    let mut fields = Vec::new();
    for field in message.fields() {
        if let Some(cookie) = options::cookie(&field) {
            check(&field, &cookie.name, &cookie.path)?;
            let deletion = format!("{}=; Max-Age=0{}", cookie.name, attributes(&cookie.path, secure));
            fields.push(Incoming {
                field,
                deletion: HeaderValue::try_from(deletion).map_err(|error| error.to_string())?,
                name: cookie.name,
            });
        }
    }
    Ok(fields)
}

/// The fields of a reply that become cookies.
pub(super) fn outgoing(message: &MessageDescriptor, secure: bool) -> Result<Vec<Outgoing>, String> {
    let mut fields = Vec::new();
    for field in message.fields() {
        let Some(cookie) = options::cookie(&field) else {
            continue;
        };
        check(&field, &cookie.name, &cookie.path)?;
        let max_age = match cookie.max_age_field.as_str() {
            "" => None,
            name => Some(
                message
                    .get_field_by_name(name)
                    .filter(|field| matches!(field.kind(), Kind::Int32 | Kind::Int64 | Kind::Uint32))
                    .ok_or_else(|| format!("max_age_field `{name}` of the cookie is no integer beside it"))?,
            ),
        };
        let attributes = attributes(&cookie.path, secure);
        fields.push(Outgoing {
            field,
            name: cookie.name,
            max_age,
            attributes,
        });
    }
    Ok(fields)
}

/// Everything after the value and the lifetime.
fn attributes(path: &str, secure: bool) -> String {
    let path = if path.is_empty() { "/" } else { path };
    let secure = if secure { "; Secure" } else { "" };
    format!("; Path={path}; HttpOnly; SameSite=Lax{secure}")
}

fn check(field: &FieldDescriptor, name: &str, path: &str) -> Result<(), String> {
    if field.kind() != Kind::String || field.is_list() {
        return Err(format!("`{}` has a cookie but is no single string", field.name()));
    }
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    {
        return Err(format!("`{name}` is no name for the cookie of `{}`", field.name()));
    }
    if path.bytes().any(|byte| byte == b';' || !(0x20..0x7f).contains(&byte)) {
        return Err(format!("`{path}` is no path for the cookie of `{}`", field.name()));
    }
    Ok(())
}

/// Fills fields from the request's cookies.
///
/// # Errors
/// What the origin check says, which runs only when there is a cookie to use.
pub(super) fn fill(
    message: &mut DynamicMessage,
    fields: &[Incoming],
    headers: &HeaderMap,
    config: &Config,
) -> Result<(), Problem> {
    for Incoming { field, name, .. } in fields {
        if let Some(value) = find(headers, name) {
            (config.origin)(headers)?;
            message.set_field(field, Value::String(value.to_owned()));
        }
    }
    Ok(())
}

/// Refuses, before anything is done, a request that could plant a cookie in the browser of somebody who only visits a page of another
/// site: whoever signs a visitor in as themselves reads what the visitor writes from then on (login CSRF, RFC 6749 §10.12).
///
/// A page that may read the reply is a client like any other; it is served unless the reply does hold a cookie.
///
/// # Errors
/// What the origin check says.
pub(super) fn may_set(plan: &Plan, headers: &HeaderMap, config: &Config) -> Result<(), Problem> {
    if plan.cookies_out.is_empty() || (config.readable)(headers) {
        return Ok(());
    }
    (config.origin)(headers)
}

/// Deletes the cookies that a refused request has used: a browser would send them again and again, to no avail. A refusal of the access
/// token says nothing about them.
pub(super) fn forget(fields: &[Incoming], headers: &HeaderMap, problem: &mut Problem) {
    if problem.status != StatusCode::UNAUTHORIZED || problem.reason.starts_with("TOKEN_") {
        return;
    }
    let used = fields.iter().filter(|field| find(headers, &field.name).is_some());
    let deletions = used.map(|field| (header::SET_COOKIE, field.deletion.clone()));
    problem.headers.extend(deletions);
}

/// The first cookie of that name, as a browser sends the one with the longest path first.
fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| {
            value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'))
                .unwrap_or(value)
        })
}

impl Outgoing {
    /// Whether `message` holds a cookie to set, and not just one to delete.
    pub(super) fn is_given(&self, message: &DynamicMessage) -> bool {
        matches!(&*message.get_field(&self.field), Value::String(value) if !value.is_empty())
    }

    /// Takes the field out of `message`; the `Set-Cookie` header when it was set. An empty value deletes the cookie.
    ///
    /// # Errors
    /// A value that no cookie can hold.
    pub(super) fn take(&self, message: &mut DynamicMessage) -> Result<Option<HeaderValue>, String> {
        let Some(Value::String(value)) = message.take_field(&self.field) else {
            return Ok(None);
        };
        let allowed = |byte: u8| (0x21..0x7f).contains(&byte) && !matches!(byte, b'"' | b',' | b';' | b'\\');
        if !value.bytes().all(allowed) {
            return Err(format!(
                "the value of the cookie `{}` has characters that no cookie can hold",
                self.name
            ));
        }
        let age = match &self.max_age {
            _ if value.is_empty() => Some(0),
            Some(field) => integer(&message.get_field(field)),
            None => None,
        };
        let age = age.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
        let text = format!("{}={value}{age}{}", self.name, self.attributes);
        HeaderValue::try_from(text).map(Some).map_err(|error| error.to_string())
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::I32(value) => Some(i64::from(*value)),
        Value::U32(value) => Some(i64::from(*value)),
        Value::I64(value) => Some(*value),
        _ => None,
    }
}
