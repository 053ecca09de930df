//! Somebody who uses the suite in a test.

use std::ops::Deref;

use serde_json::Value;
use tonic::Request;

use crate::Rest;

/// Somebody with an account who is signed in. It is also their REST client.
#[derive(Clone)]
pub struct Person {
    /// Id of the account and of the user.
    pub id: String,
    /// Unique name.
    pub username: String,
    /// Unique address.
    pub email: String,
    /// What they sign in with.
    pub password: String,
    /// Their access token.
    pub access_token: String,
    /// Their refresh token.
    pub refresh_token: String,
    pub(crate) rest: Rest,
}

impl Person {
    /// The claims of the access token, unverified.
    pub fn claims(&self) -> Value {
        claims(&self.access_token)
    }

    /// Id of the session.
    pub fn session_id(&self) -> String {
        self.claims()["sid"]
            .as_str()
            .expect("a token names its session")
            .to_owned()
    }

    /// The same person with the tokens of this answer.
    pub fn with_tokens(&self, tokens: &Value) -> Self {
        let text = |name: &str| {
            tokens[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {tokens}"))
                .to_owned()
        };
        let access_token = text("access_token");
        Self {
            rest: self.rest.bearing(&access_token),
            refresh_token: text("refresh_token"),
            access_token,
            ..self.clone()
        }
    }

    /// A gRPC request of this person.
    pub fn request<T>(&self, message: T) -> Request<T> {
        quartet_testkit::identity::bearer(&self.access_token, message)
    }
}

impl Deref for Person {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).expect("a token has three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
