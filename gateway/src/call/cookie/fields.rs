//! The fields of a binding that cookies carry.

use http::HeaderValue;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use quartet_proto::options;

/// The cookies of a binding.
#[derive(Debug)]
pub(in crate::call) struct Cookies {
    /// Request fields that cookies fill.
    pub(super) incoming: Vec<Incoming>,
    /// Reply fields that become cookies.
    pub(super) outgoing: Vec<Outgoing>,
}

/// A request field and the cookie that fills it.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) field: FieldDescriptor,
    pub(super) name: String,
    /// `Set-Cookie` that deletes it.
    pub(super) deletion: HeaderValue,
}

/// A reply field and the cookie that it becomes.
#[derive(Debug)]
pub(super) struct Outgoing {
    field: FieldDescriptor,
    name: String,
    max_age: Option<FieldDescriptor>,
    /// Everything after the value but the lifetime.
    attributes: String,
}

impl Cookies {
    /// The cookies of a method with these messages. `secure` makes them `Secure`.
    ///
    /// # Errors
    /// A field that no cookie can carry.
    pub(in crate::call) fn compile(
        input: &MessageDescriptor,
        output: &MessageDescriptor,
        secure: bool,
    ) -> Result<Self, String> {
        Ok(Self {
            incoming: incoming(input, secure)?,
            outgoing: outgoing(output, secure)?,
        })
    }

    /// Whether a reply may set a cookie.
    pub(in crate::call) fn are_set(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The reply fields that become cookies and stay out of its JSON.
    pub(in crate::call) fn reply_fields(&self) -> Vec<FieldDescriptor> {
        self.outgoing.iter().map(|cookie| cookie.field.clone()).collect()
    }
}

fn incoming(message: &MessageDescriptor, secure: bool) -> Result<Vec<Incoming>, String> {
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

fn outgoing(message: &MessageDescriptor, secure: bool) -> Result<Vec<Outgoing>, String> {
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

impl Outgoing {
    /// Whether `message` holds a cookie to set, and not just one to delete.
    pub(super) fn is_given(&self, message: &DynamicMessage) -> bool {
        matches!(&*message.get_field(&self.field), Value::String(value) if !value.is_empty())
    }

    /// Takes the field out of `message`; returns the `Set-Cookie` header when it was set. An empty
    /// value deletes the cookie.
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
