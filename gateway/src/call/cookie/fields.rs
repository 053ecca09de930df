//! The fields of a binding that cookies carry.

use http::HeaderValue;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options;

use crate::call::config::CookieStyle;
use crate::config::{CookiePrefix, SameSite};
use crate::transcode::received::{Received, Scalar};

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
    /// `Set-Cookie` that deletes it when the request is refused; `None` when it stays.
    pub(super) deletion: Option<HeaderValue>,
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
    /// The cookies of a method with these messages.
    ///
    /// # Errors
    /// A field that no cookie can carry, or a style that no browser takes.
    pub(in crate::call) fn compile(
        input: &MessageDescriptor,
        output: &MessageDescriptor,
        style: CookieStyle,
    ) -> Result<Self, String> {
        if !style.secure && style.prefix != CookiePrefix::None {
            return Err("COOKIE_PREFIX: expected none, since cookies are not `Secure`".to_owned());
        }
        if !style.secure && style.same_site == SameSite::None {
            return Err("COOKIE_SAME_SITE: expected lax or strict, since cookies are not `Secure`".to_owned());
        }
        Ok(Self {
            incoming: incoming(input, style)?,
            outgoing: outgoing(output, style)?,
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

fn incoming(message: &MessageDescriptor, style: CookieStyle) -> Result<Vec<Incoming>, String> {
    let mut fields = Vec::new();
    for field in message.fields() {
        if let Some(cookie) = options::cookie(&field) {
            check(&field, &cookie.name, &cookie.path)?;
            let name = format!("{}{}", style.prefix.text(), cookie.name);
            let deletion = format!("{name}=; Max-Age=0{}", attributes(&cookie.path, style));
            let deletion = HeaderValue::try_from(deletion).map_err(|error| error.to_string())?;
            fields.push(Incoming {
                field,
                deletion: (!cookie.kept_when_refused).then_some(deletion),
                name,
            });
        }
    }
    Ok(fields)
}

fn outgoing(message: &MessageDescriptor, style: CookieStyle) -> Result<Vec<Outgoing>, String> {
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
        let attributes = attributes(&cookie.path, style);
        fields.push(Outgoing {
            field,
            name: format!("{}{}", style.prefix.text(), cookie.name),
            max_age,
            attributes,
        });
    }
    Ok(fields)
}

/// Everything after the value and the lifetime.
fn attributes(path: &str, style: CookieStyle) -> String {
    let path = match style.prefix {
        // A browser takes no other one.
        CookiePrefix::Host => "/",
        CookiePrefix::None | CookiePrefix::Secure if path.is_empty() => "/",
        CookiePrefix::None | CookiePrefix::Secure => path,
    };
    let secure = if style.secure { "; Secure" } else { "" };
    format!("; Path={path}; HttpOnly; SameSite={}{secure}", style.same_site.text())
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
    pub(super) fn is_given(&self, message: &Received) -> bool {
        message.text(&self.field).is_some_and(|value| !value.is_empty())
    }

    /// The `Set-Cookie` header of a message that has the field set. An empty value deletes the
    /// cookie.
    ///
    /// # Errors
    /// A value that no cookie can hold.
    pub(super) fn header(&self, message: &Received) -> Result<Option<HeaderValue>, String> {
        let Some(value) = message.text(&self.field) else {
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
            Some(field) => message.get(field).and_then(integer),
            None => None,
        };
        let age = age.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
        let text = format!("{}={value}{age}{}", self.name, self.attributes);
        HeaderValue::try_from(text).map(Some).map_err(|error| error.to_string())
    }
}

fn integer(value: Scalar<'_>) -> Option<i64> {
    match value {
        Scalar::Signed(value) => Some(value),
        Scalar::Unsigned(value) => i64::try_from(value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_as_the_settings_have_them() {
        let style = |secure, prefix, same_site| CookieStyle {
            secure,
            prefix,
            same_site,
        };
        let pool = quartet_proto::descriptors::pool();
        let input = pool.get_message_by_name("quartet.auth.v1.RefreshRequest").unwrap();
        let output = pool.get_message_by_name("quartet.auth.v1.LogoutResponse").unwrap();
        let deletion = |style| {
            let cookies = Cookies::compile(&input, &output, style)?;
            let cookie = cookies.incoming[0].deletion.clone().unwrap();
            Ok::<_, String>(cookie.to_str().unwrap().to_owned())
        };
        assert_eq!(
            deletion(style(true, CookiePrefix::Host, SameSite::Strict)).unwrap(),
            "__Host-refresh_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            deletion(style(true, CookiePrefix::Secure, SameSite::None)).unwrap(),
            "__Secure-refresh_token=; Max-Age=0; Path=/api/v1/auth; HttpOnly; SameSite=None; Secure"
        );
        assert!(deletion(style(false, CookiePrefix::Host, SameSite::Lax)).is_err());
        assert!(deletion(style(false, CookiePrefix::None, SameSite::None)).is_err());
    }
}
