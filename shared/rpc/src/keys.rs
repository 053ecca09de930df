//! The public keys that verify access tokens, kept as fresh as tokens need them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use tokio_util::sync::CancellationToken;

use crate::{Failure, Upstream};

/// The key set is fetched again after this long, so that a retired key is forgotten.
const MAX_AGE: Duration = Duration::from_secs(300);
/// The key set is fetched this often without any token that needs it, since tokens that were
/// verified before need none.
const REFRESH_EVERY: Duration = Duration::from_secs(60);
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
    /// Counts the times that a key left the set.
    removals: Arc<AtomicU64>,
    fetching: Arc<Mutex<()>>,
    shared: Option<(String, Key)>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Key>,
    /// Keys that no longer verify, whatever a replica of the source that is behind still lists.
    revoked: HashSet<String>,
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
            removals: Arc::default(),
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
        if self.is_revoked(kid) {
            return Ok(None);
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

    /// Records that these keys no longer verify: tokens that they have signed are refused from now
    /// on, also those that were verified before.
    pub fn revoke(&self, kids: impl IntoIterator<Item = String>) {
        let mut known = self.known.write();
        for kid in kids {
            if !known.revoked.insert(kid.clone()) {
                continue;
            }
            if known.keys.remove(&kid).is_some() {
                self.removals.fetch_add(1, Ordering::Release);
                // The key that has taken its place is fetched as soon as a token names it.
                known.fetched_at = None;
            }
        }
    }

    /// Whether the key named `kid` was revoked.
    pub(crate) fn is_revoked(&self, kid: &str) -> bool {
        self.known.read().revoked.contains(kid)
    }

    /// Changes whenever a key leaves the set; what was verified before that is to be verified again.
    pub(crate) fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }

    /// Fetches the set from time to time until `stop`, so that a key that has left it is forgotten
    /// also where every token was verified before.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(REFRESH_EVERY))
            .await
            .is_some()
        {
            let _guard = self.fetching.lock().await;
            // A failure was logged; the keys that are known go on.
            let _ = stop.run_until_cancelled(self.fetch()).await;
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
        let mut known = self.known.write();
        let keys: HashMap<String, Key> = set
            .keys
            .iter()
            .filter(|jwk| !known.revoked.contains(&jwk.kid))
            .filter_map(|jwk| Some((jwk.kid.clone(), decode(jwk)?)))
            .collect();
        if known.keys.keys().any(|kid| !keys.contains_key(kid)) {
            self.removals.fetch_add(1, Ordering::Release);
        }
        known.keys = keys;
        known.fetched_at = Some(Instant::now());
        known.failed_at = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists whatever it was last given.
    #[derive(Default)]
    struct Listed(RwLock<Vec<String>>);

    #[async_trait]
    impl KeySource for Listed {
        async fn fetch(&self) -> Result<pb::JwkSet, Failure> {
            let jwk = |kid: &String| pb::Jwk {
                kid: kid.clone(),
                kty: "OKP".into(),
                alg: "EdDSA".into(),
                x: Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into()),
                ..pb::Jwk::default()
            };
            let keys = self.0.read().iter().map(jwk).collect();
            Ok(pb::JwkSet { keys })
        }
    }

    #[tokio::test]
    async fn a_key_that_leaves_the_set_is_counted_and_a_revoked_one_never_returns() {
        let source = Arc::new(Listed(RwLock::new(vec!["old".into(), "new".into()])));
        let keys = Keys::new(source.clone(), None);
        assert!(keys.find("old").await.unwrap().is_some());
        let before = keys.removals();
        keys.fetch().await.unwrap();
        assert_eq!(keys.removals(), before, "nothing has left");

        source.0.write().retain(|kid| kid != "old");
        keys.fetch().await.unwrap();
        assert_ne!(keys.removals(), before);
        assert!(keys.find("old").await.unwrap().is_none());

        // The source that is asked next is a replica that is behind.
        let before = keys.removals();
        keys.revoke(["new".to_owned()]);
        assert_ne!(keys.removals(), before);
        keys.fetch().await.unwrap();
        assert!(keys.find("new").await.unwrap().is_none());
    }
}
