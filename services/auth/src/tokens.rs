//! Pairs of tokens: a short-lived access token (RFC 9068) and an opaque refresh token.

use std::time::Duration;

use jsonwebtoken::Header;
use quartet_clock::Clock;
use quartet_kernel::Fault;
use quartet_rpc::token::{ACCESS_TYPE, ACR_PASSWORD, ACR_TWO_FACTORS, AccessClaims};

use crate::Error;
use crate::domain::{Account, Assurance, OWN_CLIENT, RefreshToken, Session};
use crate::key_ring::KeyRing;

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
        let (access_token, expires_in) = self.access(account, session, tier)?;
        Ok(Pair {
            access_token,
            refresh_token,
            expires_in,
            refresh_expires_in: seconds((session.expires_at - self.clock.now()).whole_seconds()),
        })
    }

    /// An access token of a session, made now, and how many seconds it lives.
    pub(crate) fn access(
        &self,
        account: &Account,
        session: &Session,
        tier: Option<String>,
    ) -> Result<(String, i32), Error> {
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
            client_id: session.client_id.clone().unwrap_or_else(|| OWN_CLIENT.to_owned()),
            exp: expires_at.unix_timestamp(),
            iat: now.unix_timestamp(),
            auth_time: Some(session.authenticated_at.unix_timestamp()),
            acr: Some(match session.assurance {
                Assurance::Password => ACR_PASSWORD.to_owned(),
                Assurance::TwoFactors => ACR_TWO_FACTORS.to_owned(),
            }),
            amr: session.assurance.methods().iter().map(ToString::to_string).collect(),
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
        let token = jsonwebtoken::encode(&header, &claims, &signer.key)?;
        Ok((token, seconds(claims.exp - claims.iat)))
    }
}

fn seconds(seconds: i64) -> i32 {
    i32::try_from(seconds.max(0)).unwrap_or(i32::MAX)
}
