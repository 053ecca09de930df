//! How a client proves who it is.

use quartet_proto::options::{self, Access};
use serde_json::{Value, json};

use super::object::Object;
use crate::routes::Binding;

const BEARER: &str = "bearer";
const PASSWORD: &str = "password";

/// The path of the OAuth 2.0 token endpoint: the form whose fields are those of RFC 6749 §4.3.2. No
/// method is named.
pub(crate) fn token_url<'a>(bindings: &[&'a Binding]) -> Option<&'a str> {
    let is_token_form = |binding: &&&Binding| {
        let input = binding.method.input();
        let has = |name| input.get_field_by_name(name).is_some();
        options::edge(&binding.method).form
            && binding.path_fields.is_empty()
            && has("grant_type")
            && has("username")
            && has("password")
    };
    bindings
        .iter()
        .find(is_token_form)
        .map(|binding| binding.template.as_str())
}

/// The security schemes: a token in the header, and how to get one with a name and a password.
pub(super) fn schemes(token_url: Option<&str>) -> Value {
    let mut schemes = Object::new();
    if let Some(token_url) = token_url {
        let description =
            "Sign in with a user name or an e-mail address and the password; client id and secret stay empty.";
        let flows = json!({"password": {"tokenUrl": token_url, "refreshUrl": token_url, "scopes": {}}});
        schemes.insert(
            PASSWORD.into(),
            json!({"type": "oauth2", "description": description, "flows": flows}),
        );
    }
    let description = "An access token, as the login returns it.";
    let bearer = json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": description});
    schemes.insert(BEARER.into(), bearer);
    schemes.into()
}

/// What a binding needs: nothing, or a token from either scheme.
pub(super) fn of(binding: &Binding, has_token_url: bool) -> Value {
    match options::access(&binding.method) {
        Some(Access::Public) => json!([]),
        _ if has_token_url => json!([{(PASSWORD): []}, {(BEARER): []}]),
        _ => json!([{(BEARER): []}]),
    }
}
