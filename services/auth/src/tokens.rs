//! Pairs of tokens: a short-lived access token (RFC 9068) and an opaque refresh token.

use std::time::Duration;

use jsonwebtoken::Header;
use quartet_clock::Clock;
use quartet_kernel::Fault;
use quartet_rpc::token::{ACCESS_TYPE, AccessClaims};

use crate::Error;
use crate::domain::{Account, RefreshToken, Session};
use crate::key_ring::KeyRing;

/// The one OAuth 2.0 client: whoever talks to this suite directly.
const CLIENT_ID: &str = "quartet";

/// A pair of tokens.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) access_token: String,
    pub(crate) refresh_token: RefreshToken,
    /// Seconds that the access token lives.
    pub(crate) expires_in: i32,
    /// Seconds that the session lives.
    pub(crate) refresh_expires_in: i32,
}

/// Makes pairs of tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) clock: Clock,
    pub(crate) ring: KeyRing,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) access_ttl: Duration,
}

impl Tokens {
    /// The tokens of a session, made now.
    pub(crate) fn pair(
        &self,
        account: &Account,
        session: &Session,
        tier: Option<String>,
        refresh_token: RefreshToken,
    ) -> Result<Pair, Error> {
        let signer = self.ring.signer().ok_or_else(|| {
            tracing::error!("there is no key to sign with");
            Fault::Internal
        })?;
        let now = self.clock.now();
        // No access token outlives its session.
        let expires_at = (now + self.access_ttl).min(session.expires_at);
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            sub: account.id.to_string(),
            aud: self.audience.clone(),
            client_id: CLIENT_ID.to_owned(),
            exp: expires_at.unix_timestamp(),
            iat: now.unix_timestamp(),
            jti: self.clock.new_id().to_string(),
            sid: session.id.to_string(),
            role: account.role.name().to_owned(),
            tier,
        };
        let header = Header {
            typ: Some(ACCESS_TYPE.to_owned()),
            kid: Some(signer.kid),
            ..Header::new(signer.algorithm.jwt())
        };
        Ok(Pair {
            access_token: jsonwebtoken::encode(&header, &claims, &signer.key)?,
            refresh_token,
            expires_in: seconds(claims.exp - claims.iat),
            refresh_expires_in: seconds((session.expires_at - now).whole_seconds()),
        })
    }
}

fn seconds(seconds: i64) -> i32 {
    i32::try_from(seconds.max(0)).unwrap_or(i32::MAX)
}
