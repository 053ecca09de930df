//! A user of the suite in a test.

use std::ops::Deref;

use serde_json::Value;
use tonic::Request;

use crate::Rest;

/// A user who is signed in. It is also the user's REST client.
#[derive(Clone)]
pub struct Person {
    /// Id of the account and of the user.
    pub id: String,
    /// The unique user name.
    pub username: String,
    /// The unique e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
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

    /// The same user with the tokens of this answer.
    pub fn with_tokens(&self, tokens: &Value) -> Self {
        let text = |name: &str| {
            tokens[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {tokens}"))
                .to_owned()
        };
        let access_token = text("access_token");
        Self {
            rest: self.rest.with_token(&access_token),
            refresh_token: text("refresh_token"),
            access_token,
            ..self.clone()
        }
    }

    /// A gRPC request of this user.
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
