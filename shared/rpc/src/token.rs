//! What the suite's tokens are: access tokens of users (RFC 9068) and service tokens.
//!
//! The two differ in `typ`, key and algorithm, so that neither passes for the other (RFC 8725
//! §3.11).

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use parking_lot::Mutex;
use quartet_clock::Clock;
use quartet_config::Secret;
use serde::{Deserialize, Serialize};

/// `typ` of an access token (RFC 9068 §2.1).
pub const ACCESS_TYPE: &str = "at+jwt";
/// `typ` of a service token.
pub const SERVICE_TYPE: &str = "service+jwt";
/// Length of a service token's life.
const SERVICE_TTL: Duration = Duration::from_secs(60);

/// The claims of an access token (RFC 9068 §2.2). Times are seconds since the epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer.
    pub iss: String,
    /// The account's id.
    pub sub: String,
    /// Audience.
    pub aud: String,
    /// The OAuth 2.0 client; the suite has one public client.
    pub client_id: String,
    /// When the token expires.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// Id of the token.
    pub jti: String,
    /// Id of the session.
    pub sid: String,
    /// Role of the account.
    pub role: String,
    /// Tier of the user, if they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

/// The claims of a service token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceClaims {
    /// Always the suite's audience.
    pub aud: String,
    /// Name of the service.
    pub sub: String,
    /// When the token expires.
    pub exp: i64,
}

/// Checks of one algorithm with times left to the caller, who has the clock.
pub(crate) fn validation(algorithm: Algorithm, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    validation
}

/// Makes this process's service tokens, each used for half its life.
#[derive(Clone)]
pub struct ServiceTokens {
    service: Arc<str>,
    audience: Arc<str>,
    key: Arc<EncodingKey>,
    clock: Clock,
    current: Arc<Mutex<Option<(String, i64)>>>,
}

impl ServiceTokens {
    /// Tokens for the service named `service`, signed with the suite's shared secret.
    pub fn new(service: &str, audience: &str, secret: &Secret, clock: Clock) -> Self {
        Self {
            service: service.into(),
            audience: audience.into(),
            key: Arc::new(EncodingKey::from_secret(secret.expose().as_bytes())),
            clock,
            current: Arc::default(),
        }
    }

    /// A token with at least half its life left.
    pub fn current(&self) -> Result<String, jsonwebtoken::errors::Error> {
        let now = self.clock.now().unix_timestamp();
        let mut current = self.current.lock();
        if let Some((token, renew_at)) = &*current
            && now < *renew_at
        {
            return Ok(token.clone());
        }
        let lifetime = SERVICE_TTL.as_secs() as i64;
        let claims = ServiceClaims {
            aud: self.audience.to_string(),
            sub: self.service.to_string(),
            exp: now + lifetime,
        };
        let header = Header {
            typ: Some(SERVICE_TYPE.into()),
            ..Header::new(Algorithm::HS256)
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.key)?;
        *current = Some((token.clone(), now + lifetime / 2));
        Ok(token)
    }
}
