//! Who may see the docs pages.
//!
//! Where superusers alone may, a program sends its access token as a bearer, and a browser, which
//! cannot, sends a name and a password (HTTP Basic, RFC 7617). Those go to the OAuth 2.0 token
//! endpoint that the contracts declare, so that its lock-out applies here as well; the result is an
//! access token like any other.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use quartet_proto::options::Reason;
use quartet_rpc::{Caller, Verifier, access};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::call::{Transcoder, status};
use crate::problem::{OAuthError, Problem};

/// Who sees the docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    /// Everybody.
    Open,
    /// Superusers.
    Superusers,
    /// Nobody: the paths are not there.
    Absent,
}

/// Lets superusers pass.
pub(super) struct Gate {
    verifier: Option<Verifier>,
    transcoder: Arc<Transcoder>,
    token_url: Option<String>,
    /// The access token of a name and a password, by their digest: a page loads several files, and
    /// each login costs a hash. A token that is no longer valid is dropped, so that a logout ends
    /// this as well.
    tokens: Mutex<HashMap<[u8; 32], String>>,
}

impl Gate {
    pub(super) fn new(verifier: Option<Verifier>, transcoder: Arc<Transcoder>, token_url: Option<String>) -> Self {
        Self {
            verifier,
            transcoder,
            token_url,
            tokens: Mutex::default(),
        }
    }

    async fn check(&self, request: &Parts) -> Result<(), Problem> {
        let headers = &request.headers;
        if let Some(token) = access::bearer(headers) {
            return self.check_token(token).await;
        }
        let Some(credentials) = basic(headers) else {
            return Err(unauthorized(Problem::new(
                StatusCode::UNAUTHORIZED,
                Reason::TokenMissing,
                "an access token is required",
            )));
        };
        let digest: [u8; 32] = Sha256::digest(credentials.as_bytes()).into();
        let cached = self.tokens.lock().get(&digest).cloned();
        if let Some(token) = cached {
            if self.check_token(&token).await.is_ok() {
                return Ok(());
            }
            self.tokens.lock().remove(&digest);
        }
        let token = self.sign_in(&credentials, request).await.map_err(unauthorized)?;
        self.check_token(&token).await?;
        self.tokens.lock().insert(digest, token);
        Ok(())
    }

    async fn check_token(&self, token: &str) -> Result<(), Problem> {
        let Some(verifier) = &self.verifier else {
            return Err(forbidden());
        };
        match verifier.verify(token).await {
            Ok(Caller::User(user)) if user.is_superuser() => Ok(()),
            Ok(_) => Err(forbidden()),
            Err(failure) => Err(unauthorized(status::to_problem(&failure.into()))),
        }
    }

    /// The access token for a name and a password, from the token endpoint.
    async fn sign_in(&self, credentials: &str, request: &Parts) -> Result<String, Problem> {
        let refused = || {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                Reason::InvalidCredentials,
                "the name or the password is wrong",
            )
        };
        let (Some(token_url), Some((name, password))) = (&self.token_url, credentials.split_once(':')) else {
            return Err(refused());
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "password"), ("username", name), ("password", password)])
            .finish();
        let mut token_request = Request::post(token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .map_err(|_| refused())?;
        // The same client, the same deadline, the same request id.
        *token_request.extensions_mut() = request.extensions.clone();
        for (name, value) in request
            .headers
            .iter()
            .filter(|(name, _)| *name != AUTHORIZATION && *name != CONTENT_TYPE)
        {
            if !token_request.headers().contains_key(name) && !name.as_str().starts_with("content-") {
                token_request.headers_mut().append(name.clone(), value.clone());
            }
        }
        let reply = self.transcoder.call(token_request).await;
        let reply = reply.map_err(|problem| match problem.oauth {
            // A browser asks for name and password once more after a 401 alone.
            Some(OAuthError::InvalidGrant | OAuthError::InvalidRequest | OAuthError::MfaRequired) => refused(),
            _ => Problem { oauth: None, ..problem },
        })?;
        let body = Limited::new(reply.into_body(), 64 << 10)
            .collect()
            .await
            .map_err(|_| refused())?
            .to_bytes();
        let reply: Value = serde_json::from_slice(&body).unwrap_or_default();
        reply["access_token"].as_str().map(str::to_owned).ok_or_else(refused)
    }
}

/// Lets a request of a superuser pass.
pub(super) async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match gate.check(&parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

/// Name and password: `name:password`.
fn basic(headers: &HeaderMap) -> Option<String> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = scheme
        .eq_ignore_ascii_case("basic")
        .then(|| STANDARD.decode(encoded.trim()).ok())
        .flatten()?;
    String::from_utf8(decoded).ok()
}

fn forbidden() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        Reason::PermissionDenied,
        "the docs are for superusers",
    )
}

/// Names both ways to sign in in the challenges.
fn unauthorized(mut problem: Problem) -> Problem {
    if problem.status == StatusCode::UNAUTHORIZED {
        problem.headers.retain(|(name, _)| name != WWW_AUTHENTICATE);
        for challenge in ["Basic realm=\"docs\", charset=\"UTF-8\"", "Bearer realm=\"docs\""] {
            problem
                .headers
                .push((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
    }
    problem
}
