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
use crate::service_keys::PublicKeys;
use crate::token::{
    ACCESS_TYPE, ACR_TWO_FACTORS, AccessClaims, MAX_SERVICE_LIFE, SERVICE_TYPE, ServiceClaims, Times, Untimely,
    validation,
};
use crate::{Caller, Failure, User, host, idempotency};

/// Verified tokens remembered at the most.
const REMEMBERED: u64 = 100_000;
/// How often a stream's token and session are checked, beside the stream of ended sessions, which
/// is immediate.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a call waits for the ended sessions that a process has not received yet.
const FIRST_SNAPSHOT: Duration = Duration::from_secs(1);
/// A longer token is none of ours, and is not worth decoding.
const MAX_LENGTH: usize = 4_096;

/// Checks tokens and remembers those that passed until they expire, so that the second request of a
/// user costs a look-up. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Verifier {
    keys: Keys,
    revocations: Revocations,
    service_key: Arc<DecodingKey>,
    service_keys: Option<Arc<PublicKeys>>,
    fingerprint_secret: [u8; 32],
    issuer: Arc<str>,
    audience: Arc<str>,
    max_life: Duration,
    reauth_window: Duration,
    superusers_need_second_factor: bool,
    clock: Clock,
    passed: Cache<[u8; 32], Passed>,
}

/// A token that was verified.
#[derive(Clone)]
struct Passed {
    caller: Caller,
    expires_at: OffsetDateTime,
    /// [`Verifier::removals`] when its verification began.
    removals: u64,
}

impl Verifier {
    /// A verifier for this suite's issuer and audience.
    ///
    /// Errors: the folder of the keys of services is missing or wrong.
    pub fn new(
        config: &crate::Config,
        service_secret: &Secret,
        keys: Keys,
        revocations: Revocations,
        clock: Clock,
    ) -> Result<Self, quartet_config::Error> {
        let service_keys = config.service_keys_dir.as_deref().map(PublicKeys::open).transpose()?;
        Ok(Self {
            service_keys: service_keys.map(Arc::new),
            keys,
            revocations,
            service_key: Arc::new(DecodingKey::from_secret(service_secret.expose().as_bytes())),
            fingerprint_secret: host::key_for(service_secret, idempotency::PURPOSE),
            issuer: config.token_issuer.as_str().into(),
            audience: config.token_audience.as_str().into(),
            max_life: config.token_max_life.0,
            reauth_window: config.reauth_window.0,
            superusers_need_second_factor: config.superusers_need_second_factor,
            clock,
            passed: Cache::new(REMEMBERED),
        })
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
        let removals = self.removals();
        // What another key set has verified is verified again.
        let passed = self.passed.get(&digest).filter(|passed| passed.removals == removals);
        let passed = match passed {
            Some(passed) => passed,
            None => {
                let (caller, expires_at) = self.check(token).await?;
                let passed = Passed {
                    caller,
                    expires_at,
                    removals,
                };
                self.passed.insert(digest, passed.clone());
                passed
            }
        };
        if passed.expires_at <= self.clock.now() {
            self.passed.invalidate(&digest);
            return Err(expired());
        }
        if let Caller::User(user) = &passed.caller {
            // A process that has just started learns of the ended sessions in a moment.
            self.revocations.first_snapshot(FIRST_SNAPSHOT).await;
            self.still_counts(user)?;
        }
        Ok(passed.caller)
    }

    /// Changes whenever a key has left, of users or of services.
    fn removals(&self) -> u64 {
        let changes = self.service_keys.as_ref().map_or(0, |keys| keys.changes());
        self.keys.removals().wrapping_add(changes)
    }

    /// Whether the ended sessions are known, without which no user's token is taken.
    pub fn is_ready(&self) -> bool {
        self.revocations.is_known()
    }

    /// The secret that fingerprints of requests with a key are made with.
    pub(crate) fn fingerprint_secret(&self) -> [u8; 32] {
        self.fingerprint_secret
    }

    /// How old the last proof of who calls may be, where that of `user` is older.
    pub(crate) fn stale_after(&self, user: &User) -> Option<Duration> {
        (self.clock.now() - user.authenticated_at > self.reauth_window).then_some(self.reauth_window)
    }

    /// Whether the session behind a token that was verified before still counts.
    fn still_counts(&self, user: &User) -> Result<(), Failure> {
        if self.keys.is_revoked(&user.key_id) {
            return Err(invalid());
        }
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
                return expired();
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
        // RFC 7515 §4.1.11: an extension that is not understood refuses the token, and there is none
        // that is understood here.
        if header.crit.is_some() {
            return Err(invalid());
        }
        // RFC 8725 §3.11: the kind is explicit, and decides key and rules. `typ` may carry the
        // media type's prefix (RFC 9068 §4).
        let kind = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        match kind.strip_prefix("application/").unwrap_or(&kind) {
            ACCESS_TYPE => {
                self.check_times(token, self.max_life)?;
                self.check_access(token, &header).await
            }
            SERVICE_TYPE => {
                self.check_times(token, MAX_SERVICE_LIFE)?;
                self.check_service(token, &header)
            }
            _ => Err(invalid()),
        }
    }

    /// Refuses a token whose times are wrong before its signature costs anything.
    fn check_times(&self, token: &str, max_life: Duration) -> Result<(), Failure> {
        let times = Times::claimed(token).ok_or_else(invalid)?;
        let now = self.clock.now().unix_timestamp();
        times.check(now, max_life).map_err(|untimely| match untimely {
            Untimely::Expired => expired(),
            Untimely::Invalid => invalid(),
        })
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
        let role = Role::from_name(&claims.role).ok_or_else(invalid)?;
        let lacks_second_factor = self.superusers_need_second_factor
            && role == Role::Superuser
            && claims.acr.as_deref() != Some(ACR_TWO_FACTORS);
        let user = User {
            id: claims.sub.parse().map_err(|_| invalid())?,
            session_id: claims.sid.parse().map_err(|_| invalid())?,
            role: if lacks_second_factor { Role::User } else { role },
            lacks_second_factor,
            tier: claims.tier,
            // A token without it is from before it was recorded: nobody knows how old its proof is.
            authenticated_at: OffsetDateTime::from_unix_timestamp(claims.auth_time.unwrap_or_default())
                .map_err(|_| invalid())?,
            issued_at: OffsetDateTime::from_unix_timestamp(claims.iat).map_err(|_| invalid())?,
            expires_at,
            client_id: claims.client_id.into(),
            key_id: kid.into(),
        };
        Ok((Caller::User(user), expires_at))
    }

    fn check_service(&self, token: &str, header: &Header) -> Result<(Caller, OffsetDateTime), Failure> {
        let claims = match &self.service_keys {
            Some(keys) => {
                let kid = header.kid.as_deref().ok_or_else(invalid)?;
                keys.verify(token, kid, &self.audience).ok_or_else(invalid)?
            }
            None => {
                let validation = validation(Algorithm::HS256, &self.audience);
                jsonwebtoken::decode::<ServiceClaims>(token, &self.service_key, &validation)
                    .map_err(|_| invalid())?
                    .claims
            }
        };
        let expires_at = OffsetDateTime::from_unix_timestamp(claims.exp).map_err(|_| invalid())?;
        Ok((Caller::Service(claims.sub), expires_at))
    }
}

fn expired() -> Failure {
    unauthenticated(Reason::TokenExpired, "the token has expired")
}

fn invalid() -> Failure {
    unauthenticated(Reason::TokenInvalid, "the token is not valid here")
}

fn unauthenticated(reason: Reason, message: &str) -> Failure {
    Failure::new(Code::Unauthenticated, reason, message)
}
