//! The public keys that verify access tokens, kept as fresh as tokens need them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use quartet_config::Secret;
use quartet_kernel::Deadline;
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_client::AuthServiceClient;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Failure, Upstream};

/// The key set is fetched again after this long, so that a retired key is forgotten.
const MAX_AGE: Duration = Duration::from_secs(300);
/// A token that names an unknown key causes a fetch, but not more often than this.
const MIN_AGE: Duration = Duration::from_secs(1);
/// Bound on one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the key set comes from.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The key set in force.
    async fn fetch(&self) -> Result<pb::JwkSet, Failure>;
}

/// The auth service, as seen by the others.
#[async_trait]
impl KeySource for Upstream {
    async fn fetch(&self) -> Result<pb::JwkSet, Failure> {
        let mut client = AuthServiceClient::new(self.clone());
        let deadline = Deadline::after(FETCH_TIMEOUT);
        let mut request = tonic::Request::new(pb::GetJwksRequest {});
        request.set_timeout(FETCH_TIMEOUT);
        let reply = deadline.bound(client.get_jwks(request)).await?;
        reply.map(tonic::Response::into_inner).map_err(|status| {
            tracing::warn!(%status, "fetching the key set failed");
            Failure::unavailable("auth")
        })
    }
}

/// A verification key: the one algorithm it may be used with, and the key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: Arc<DecodingKey>,
}

/// The keys by `kid`. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct Keys {
    source: Arc<dyn KeySource>,
    known: Arc<RwLock<Known>>,
    fetching: Arc<Mutex<()>>,
    shared: Option<(String, Key)>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Key>,
    fetched_at: Option<Instant>,
    /// When the last fetch failed, if it was the last.
    failed_at: Option<Instant>,
}

impl Keys {
    /// Keys from `source`, and the shared HS256 secret where the suite signs with one.
    pub fn new(source: Arc<dyn KeySource>, hs256: Option<&Secret>) -> Self {
        let shared = hs256.map(|secret| {
            let key = Arc::new(DecodingKey::from_secret(secret.expose().as_bytes()));
            (
                hs256_kid(secret),
                Key {
                    algorithm: Algorithm::HS256,
                    key,
                },
            )
        });
        Self {
            source,
            known: Arc::default(),
            fetching: Arc::default(),
            shared,
        }
    }

    /// The key named `kid`; fetches the set when the name is new or the set is old.
    ///
    /// Errors: UNAVAILABLE when the set was never fetched and its source is away.
    pub(crate) async fn find(&self, kid: &str) -> Result<Option<Key>, Failure> {
        if let Some((shared_kid, key)) = &self.shared
            && shared_kid == kid
        {
            return Ok(Some(key.clone()));
        }
        let (found, age) = self.look_up(kid);
        let stale = match (&found, age) {
            (_, None) => true,
            (Some(_), Some(age)) => age >= MAX_AGE,
            (None, Some(age)) => age >= MIN_AGE,
        };
        if !stale {
            return Ok(found);
        }
        let guard = self.fetching.lock().await;
        if found.is_some() && self.failed_lately() {
            // One caller waits for a source that is away; the others go on with the key they have.
            return Ok(found);
        }
        let (again, age_now) = self.look_up(kid);
        if age_now.is_some_and(|now| age.is_none_or(|before| now < before)) {
            // Somebody else fetched while this call waited.
            return Ok(again);
        }
        let fetched = self.fetch().await;
        drop(guard);
        match (fetched, found) {
            (Ok(()), _) => Ok(self.look_up(kid).0),
            // An old key beats none while the source is away.
            (Err(_), Some(key)) => Ok(Some(key)),
            (Err(failure), None) => Err(failure),
        }
    }

    /// Forgets how fresh the set is, so that the next look-up fetches it. For the service that has
    /// just rotated its own keys.
    pub fn expire(&self) {
        self.known.write().fetched_at = None;
    }

    fn failed_lately(&self) -> bool {
        let known = self.known.read();
        known.failed_at.is_some_and(|at| at.elapsed() < FETCH_TIMEOUT)
    }

    fn look_up(&self, kid: &str) -> (Option<Key>, Option<Duration>) {
        let known = self.known.read();
        (known.keys.get(kid).cloned(), known.fetched_at.map(|at| at.elapsed()))
    }

    async fn fetch(&self) -> Result<(), Failure> {
        let set = match self.source.fetch().await {
            Ok(set) => set,
            Err(failure) => {
                self.known.write().failed_at = Some(Instant::now());
                return Err(failure);
            }
        };
        let keys = set
            .keys
            .iter()
            .filter_map(|jwk| Some((jwk.kid.clone(), decode(jwk)?)))
            .collect();
        *self.known.write() = Known {
            keys,
            fetched_at: Some(Instant::now()),
            failed_at: None,
        };
        Ok(())
    }
}

/// The name of the shared HS256 key: a digest of the secret, so that two processes with different
/// secrets see a foreign key and not a forgery.
pub fn hs256_kid(secret: &Secret) -> String {
    use base64::Engine as _;
    let digest = Sha256::digest(["quartet kid ", secret.expose()].concat());
    format!(
        "hs256-{}",
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..9])
    )
}

/// A key that this suite may have made; `None` for any other kind, which then verifies nothing.
fn decode(jwk: &pb::Jwk) -> Option<Key> {
    let (algorithm, key) = match (jwk.kty.as_str(), jwk.alg.as_str()) {
        ("OKP", "EdDSA") => (Algorithm::EdDSA, DecodingKey::from_ed_components(jwk.x.as_deref()?)),
        ("EC", "ES256") => (
            Algorithm::ES256,
            DecodingKey::from_ec_components(jwk.x.as_deref()?, jwk.y.as_deref()?),
        ),
        ("RSA", "RS256") => (
            Algorithm::RS256,
            DecodingKey::from_rsa_components(jwk.n.as_deref()?, jwk.e.as_deref()?),
        ),
        _ => return None,
    };
    Some(Key {
        algorithm,
        key: Arc::new(key.ok()?),
    })
}
