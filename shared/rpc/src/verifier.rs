//! Checks a token: signature, kind, issuer, audience, time, and whether its session still counts.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Header};
use moka::sync::Cache;
use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_kernel::Role;
use quartet_proto::options::Reason;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tonic::Code;

use crate::keys::Keys;
use crate::revocations::{Revocations, Standing};
use crate::token::{ACCESS_TYPE, AccessClaims, SERVICE_TYPE, ServiceClaims, validation};
use crate::{Caller, Failure, User};

/// Verified tokens remembered at the most.
const REMEMBERED: u64 = 100_000;
/// How often a stream's token and session are checked, beside the stream of ended sessions, which
/// is immediate.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A longer token is none of ours, and is not worth decoding.
const MAX_LENGTH: usize = 4_096;

/// Checks tokens and remembers those that passed until they expire, so that the second request of a
/// user costs a look-up. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Verifier {
    keys: Keys,
    revocations: Revocations,
    service_key: Arc<DecodingKey>,
    issuer: Arc<str>,
    audience: Arc<str>,
    clock: Clock,
    passed: Cache<[u8; 32], (Caller, OffsetDateTime)>,
}

impl Verifier {
    /// A verifier for this suite's issuer and audience.
    pub fn new(
        config: &crate::Config,
        service_secret: &Secret,
        keys: Keys,
        revocations: Revocations,
        clock: Clock,
    ) -> Self {
        Self {
            keys,
            revocations,
            service_key: Arc::new(DecodingKey::from_secret(service_secret.expose().as_bytes())),
            issuer: config.token_issuer.as_str().into(),
            audience: config.token_audience.as_str().into(),
            clock,
            passed: Cache::new(REMEMBERED),
        }
    }

    /// Who `token` speaks for.
    ///
    /// Errors: UNAUTHENTICATED `TOKEN_INVALID`, `TOKEN_EXPIRED` or `TOKEN_REVOKED`; UNAVAILABLE
    /// when that is unknown for now.
    pub async fn verify(&self, token: &str) -> Result<Caller, Failure> {
        if token.len() > MAX_LENGTH {
            return Err(invalid());
        }
        // The digest, not the token: what is remembered must not be worth stealing.
        let digest: [u8; 32] = Sha256::digest(token).into();
        let (caller, expires_at) = match self.passed.get(&digest) {
            Some(passed) => passed,
            None => {
                let passed = self.check(token).await?;
                self.passed.insert(digest, passed.clone());
                passed
            }
        };
        if expires_at <= self.clock.now() {
            self.passed.invalidate(&digest);
            return Err(unauthenticated(Reason::TokenExpired, "the token has expired"));
        }
        match &caller {
            Caller::User(user) => self.still_counts(user).map(|()| caller),
            Caller::Anonymous | Caller::Service(_) => Ok(caller),
        }
    }

    /// Whether the session behind a token that was verified before still counts.
    fn still_counts(&self, user: &User) -> Result<(), Failure> {
        match self.revocations.standing(user) {
            Standing::Counts => Ok(()),
            Standing::Ended => Err(unauthenticated(Reason::TokenRevoked, "the session was ended")),
            Standing::Unknown => Err(Failure::unavailable("auth")),
        }
    }

    /// Waits until what `user` was admitted for has to end, and returns why: their session was
    /// ended, which is immediate, nobody knows whether it was, or, unless `past_expiry`, their
    /// token has expired. For what lasts longer than the check at its start.
    pub async fn until_unwelcome(&self, user: &User, past_expiry: bool) -> Failure {
        let watch = self.revocations.watch_session(user.session_id);
        loop {
            if !past_expiry && user.expires_at <= self.clock.now() {
                return unauthenticated(Reason::TokenExpired, "the token has expired");
            }
            if let Err(failure) = self.still_counts(user) {
                return failure;
            }
            tokio::select! {
                () = watch.ended() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn check(&self, token: &str) -> Result<(Caller, OffsetDateTime), Failure> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        // RFC 8725 §3.11: the kind is explicit, and decides key and rules. `typ` may carry the
        // media type's prefix (RFC 9068 §4).
        let kind = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        match kind.strip_prefix("application/").unwrap_or(&kind) {
            ACCESS_TYPE => self.check_access(token, &header).await,
            SERVICE_TYPE => self.check_service(token),
            _ => Err(invalid()),
        }
    }

    async fn check_access(&self, token: &str, header: &Header) -> Result<(Caller, OffsetDateTime), Failure> {
        let kid = header.kid.as_deref().ok_or_else(invalid)?;
        let key = self.keys.find(kid).await?.ok_or_else(invalid)?;
        // RFC 8725 §3.1: the key, not the token, decides which algorithm verifies it.
        let mut validation = validation(key.algorithm, &self.audience);
        validation.set_issuer(&[&self.issuer]);
        let claims = jsonwebtoken::decode::<AccessClaims>(token, &key.key, &validation)
            .map_err(|_| invalid())?
            .claims;
        let expires_at = OffsetDateTime::from_unix_timestamp(claims.exp).map_err(|_| invalid())?;
        let user = User {
            id: claims.sub.parse().map_err(|_| invalid())?,
            session_id: claims.sid.parse().map_err(|_| invalid())?,
            role: Role::from_name(&claims.role).ok_or_else(invalid)?,
            tier: claims.tier,
            issued_at: OffsetDateTime::from_unix_timestamp(claims.iat).map_err(|_| invalid())?,
            expires_at,
        };
        Ok((Caller::User(user), expires_at))
    }

    fn check_service(&self, token: &str) -> Result<(Caller, OffsetDateTime), Failure> {
        let validation = validation(Algorithm::HS256, &self.audience);
        let claims = jsonwebtoken::decode::<ServiceClaims>(token, &self.service_key, &validation)
            .map_err(|_| invalid())?
            .claims;
        let expires_at = OffsetDateTime::from_unix_timestamp(claims.exp).map_err(|_| invalid())?;
        Ok((Caller::Service(claims.sub), expires_at))
    }
}

fn invalid() -> Failure {
    unauthenticated(Reason::TokenInvalid, "the token is not valid here")
}

fn unauthenticated(reason: Reason, message: &str) -> Failure {
    Failure::new(Code::Unauthenticated, reason, message)
}
