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

use crate::Config;
use crate::service_keys::PrivateKey;

/// `typ` of an access token (RFC 9068 §2.1).
pub const ACCESS_TYPE: &str = "at+jwt";
/// `typ` of a service token.
pub const SERVICE_TYPE: &str = "service+jwt";
/// `acr` of a token whose user has proven who they are by a password.
pub const ACR_PASSWORD: &str = "urn:quartet:acr:password";
/// `acr` of a token whose user has proven who they are by two factors.
pub const ACR_TWO_FACTORS: &str = "urn:quartet:acr:two-factors";
/// Length of a service token's life.
const SERVICE_TTL: Duration = Duration::from_secs(60);
/// A service token that claims a longer life is refused.
pub(crate) const MAX_SERVICE_LIFE: Duration = Duration::from_secs(300);
/// How far the clocks of two processes may be apart.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);

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
    /// When the user last proved who they are (RFC 9068 §2.2.1); unset in tokens from before that was
    /// recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How well they proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// By what they proved it (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
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
    /// When it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
}

/// What a token claims about its time.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Times {
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
}

/// Why a token does not count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untimely {
    /// Its time is over.
    Expired,
    /// Its times are none that this suite gives a token.
    Invalid,
}

impl Times {
    /// The times of a token whose signature is not verified yet; `None` when they cannot be read.
    pub(crate) fn claimed(token: &str) -> Option<Self> {
        use base64::Engine as _;
        let payload = token.split('.').nth(1)?;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice(&payload).ok()
    }

    /// Whether a token of these times may count at `now`, when none may live for longer than
    /// `max_life`. What is not so costs no signature.
    pub(crate) fn check(self, now: i64, max_life: Duration) -> Result<(), Untimely> {
        let leeway = LEEWAY.as_secs() as i64;
        let life = i64::try_from(max_life.as_secs()).unwrap_or(i64::MAX);
        if self.exp <= now {
            return Err(Untimely::Expired);
        }
        let begins_later = |time: Option<i64>| time.is_some_and(|time| time > now.saturating_add(leeway));
        // Without `iat` its life begins now at the latest.
        let from = self.iat.unwrap_or(now.saturating_add(leeway));
        if begins_later(self.nbf) || begins_later(self.iat) || self.exp.saturating_sub(from) > life {
            return Err(Untimely::Invalid);
        }
        Ok(())
    }
}

/// Checks of one algorithm with times left to the caller, who has the clock.
pub(crate) fn validation(algorithm: Algorithm, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    validation
}

/// A service token cannot be signed, such as for want of its key's file.
#[derive(Debug, thiserror::Error)]
#[error("a token of this service cannot be signed: {0}")]
pub struct SigningFailed(String);

/// Makes this process's service tokens, each used for half its life.
#[derive(Clone)]
pub struct ServiceTokens {
    service: Arc<str>,
    audience: Arc<str>,
    signer: Signer,
    clock: Clock,
    current: Arc<Mutex<Option<Current>>>,
}

struct Current {
    token: String,
    renew_at: i64,
    /// [`PrivateKey::changes`] when it was signed.
    changes: u64,
}

/// What a process signs its service tokens with.
#[derive(Clone)]
enum Signer {
    Secret(Arc<EncodingKey>),
    KeyPair(PrivateKey),
}

impl ServiceTokens {
    /// Tokens by the settings: signed with the key pair of the service, or else with the secret that the
    /// suite shares. `None` when there is neither.
    ///
    /// Errors: the file of the key is missing or wrong.
    pub fn read(service: &str, config: &Config, clock: Clock) -> Result<Option<Self>, quartet_config::Error> {
        let audience = &config.token_audience;
        Ok(match (&config.service_key_file, &config.service_token_secret) {
            (Some(file), _) => Some(Self::signed_with(service, audience, PrivateKey::open(file)?, clock)),
            (None, Some(secret)) => Some(Self::new(service, audience, secret, clock)),
            (None, None) => None,
        })
    }

    /// Tokens for the service named `service`, signed with its own key.
    pub(crate) fn signed_with(service: &str, audience: &str, key: PrivateKey, clock: Clock) -> Self {
        Self {
            service: service.into(),
            audience: audience.into(),
            signer: Signer::KeyPair(key),
            clock,
            current: Arc::default(),
        }
    }

    /// Tokens for the service named `service`, signed with the suite's shared secret.
    pub fn new(service: &str, audience: &str, secret: &Secret, clock: Clock) -> Self {
        Self {
            service: service.into(),
            audience: audience.into(),
            signer: Signer::Secret(Arc::new(EncodingKey::from_secret(secret.expose().as_bytes()))),
            clock,
            current: Arc::default(),
        }
    }

    /// A token with at least half its life left.
    pub fn current(&self) -> Result<String, SigningFailed> {
        let now = self.clock.now().unix_timestamp();
        let changes = self.signer.changes();
        let mut current = self.current.lock();
        let fresh = current.as_mut().filter(|current| now < current.renew_at);
        if let Some(current) = &fresh
            && current.changes == changes
        {
            return Ok(current.token.clone());
        }
        match (self.sign(now), fresh) {
            (Ok(token), fresh) => {
                if fresh.is_some() {
                    tracing::info!(service = %self.service, "service tokens are signed with another key");
                }
                *current = Some(Current {
                    token: token.clone(),
                    renew_at: now + SERVICE_TTL.as_secs() as i64 / 2,
                    changes,
                });
                Ok(token)
            }
            (Err(error), Some(fresh)) => {
                tracing::error!(%error, "the key of this service is wrong; its last token goes on");
                fresh.changes = changes;
                Ok(fresh.token.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    fn sign(&self, now: i64) -> Result<String, SigningFailed> {
        let lifetime = SERVICE_TTL.as_secs() as i64;
        let claims = ServiceClaims {
            aud: self.audience.to_string(),
            sub: self.service.to_string(),
            exp: now + lifetime,
            iat: Some(now),
        };
        let (algorithm, kid, key) = match &self.signer {
            Signer::Secret(key) => (Algorithm::HS256, None, key.clone()),
            Signer::KeyPair(key) => {
                let key = key.load().map_err(SigningFailed)?;
                (Algorithm::EdDSA, Some(self.service.to_string()), Arc::new(key))
            }
        };
        let header = Header {
            typ: Some(SERVICE_TYPE.into()),
            kid,
            ..Header::new(algorithm)
        };
        jsonwebtoken::encode(&header, &claims, &key).map_err(|error| SigningFailed(error.to_string()))
    }
}

impl Signer {
    /// See [`PrivateKey::changes`].
    fn changes(&self) -> u64 {
        match self {
            Self::Secret(_) => 0,
            Self::KeyPair(key) => key.changes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_within_its_times_and_no_longer_than_any_may_live() {
        let now = 1_000_000;
        let check = |exp, iat, nbf| Times { exp, iat, nbf }.check(now, Duration::from_secs(900));
        assert_eq!(check(now + 900, Some(now), None), Ok(()));
        assert_eq!(check(now + 1, Some(now - 899), Some(now - 899)), Ok(()));
        // A clock that is a little ahead signed it.
        assert_eq!(check(now + 930, Some(now + 30), Some(now + 30)), Ok(()));
        assert_eq!(check(now + 900, None, None), Ok(()));
        assert_eq!(check(now, Some(now - 1), None), Err(Untimely::Expired));
        for (exp, iat, nbf) in [
            (now + 901, Some(now), None),
            (now + 10 * 365 * 86_400, None, None),
            (now + 900, Some(now + 61), None),
            (now + 900, Some(now), Some(now + 61)),
            (i64::MAX, Some(i64::MIN), Some(i64::MIN)),
            (i64::MAX, Some(i64::MAX), None),
        ] {
            assert_eq!(check(exp, iat, nbf), Err(Untimely::Invalid), "{exp} {iat:?} {nbf:?}");
        }
    }

    #[test]
    fn times_are_read_without_a_signature_or_not_at_all() {
        assert!(Times::claimed("e30.eyJleHAiOjF9.").is_some_and(|times| times.exp == 1));
        for wrong in [
            "",
            "a.b.c",
            "e30.e30.",
            "e30.eyJleHAiOiIxIn0.",
            "e30.eyJleHAiOjEsImV4cCI6Mn0.",
        ] {
            assert!(Times::claimed(wrong).is_none(), "{wrong}");
        }
    }
}
