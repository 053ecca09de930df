//! The signing keys as this process holds them: read from the store several times a second, so that
//! a rotation or revocation by any process is seen in time.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::EncodingKey;
use parking_lot::RwLock;
use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_kernel::{Deadline, Fault};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::keys::hs256_kid;
use quartet_store::{ConnectRetry, Context};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::Error;
use crate::domain::{Algorithm, KeyState, SigningKey};
use crate::rpc::convert::jwk::jwk;
use crate::store::Store;

/// How often the keys are read again.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_millis(250);
/// How long a new key is published before it signs: long enough for every process to have read it.
pub(crate) const PUBLISHED_BEFORE: Duration = Duration::from_secs(5);

/// A key that signs.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: Arc<EncodingKey>,
}

/// The keys. Cheap to clone; clones share them.
#[derive(Clone)]
pub(crate) struct KeyRing {
    clock: Clock,
    store: Arc<dyn Store>,
    algorithm: Algorithm,
    shared: Option<Signer>,
    held: Arc<RwLock<Vec<Held>>>,
    /// The keys that no longer verify.
    revoked: Arc<watch::Sender<Vec<String>>>,
}

#[derive(Clone)]
struct Held {
    key: SigningKey,
    signer: Signer,
    jwk: pb::Jwk,
}

impl KeyRing {
    /// The keys of `store`; the first one is made if there is none of `algorithm`.
    pub(crate) async fn open(
        clock: Clock,
        store: Arc<dyn Store>,
        algorithm: Algorithm,
        hs256: Option<&Secret>,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let shared = hs256.map(|secret| Signer {
            kid: hs256_kid(secret),
            algorithm: Algorithm::Hs256,
            key: Arc::new(EncodingKey::from_secret(secret.expose().as_bytes())),
        });
        let ring = Self {
            clock,
            store,
            algorithm,
            shared: shared.filter(|_| algorithm == Algorithm::Hs256),
            held: Arc::default(),
            revoked: Arc::new(watch::Sender::new(Vec::new())),
        };
        let retry = ConnectRetry::until(deadline);
        while let Err(error) = ring.read(deadline).await {
            match &error {
                Error::Store(away) if retry.again(away).await => {}
                _ => return Err(error),
            }
        }
        if ring.signer().is_none() {
            let (clock, now) = (ring.clock.clone(), ring.clock.now());
            let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, &clock, now)).await;
            let key = made.map_err(|_| Fault::Internal)??;
            ring.store
                .insert_first_key(&key, &Context::new(&ring.clock, deadline))
                .await?;
            ring.read(deadline).await?;
        }
        Ok(ring)
    }

    /// Reads the keys from the store.
    pub(crate) async fn read(&self, deadline: Deadline) -> Result<(), Error> {
        let keys = self.store.list_keys(&Context::new(&self.clock, deadline)).await?;
        let known = self.held();
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            // Keys are taken apart once; only their times change.
            let parts = match known.iter().find(|held| held.key.kid == key.kid) {
                Some(held) => (held.signer.clone(), held.jwk.clone()),
                None => (
                    Signer {
                        kid: key.kid.clone(),
                        algorithm: key.algorithm,
                        key: Arc::new(key.encoding_key()),
                    },
                    jwk(&key)?,
                ),
            };
            held.push(Held {
                key,
                signer: parts.0,
                jwk: parts.1,
            });
        }
        let now = self.clock.now();
        let ended = held.iter().filter(|held| held.key.state(now) == KeyState::Expired);
        let revoked: Vec<String> = ended.map(|held| held.key.kid.clone()).collect();
        *self.held.write() = held;
        self.revoked.send_if_modified(|known| {
            let is_new = *known != revoked;
            *known = revoked;
            is_new
        });
        Ok(())
    }

    /// The key that signs now: the newest active one of the algorithm in force.
    pub(crate) fn signer(&self) -> Option<Signer> {
        if let Some(shared) = &self.shared {
            return Some(shared.clone());
        }
        let now = self.clock.now();
        let held = self.held.read();
        let in_state = |state| {
            held.iter()
                .rfind(|held| held.key.algorithm == self.algorithm && held.key.state(now) == state)
        };
        // The very first key, made by a process whose clock is ahead, signs before its time: there
        // is no other.
        let signing = in_state(KeyState::Active).or_else(|| in_state(KeyState::Next));
        signing.map(|held| held.signer.clone())
    }

    /// The public keys of all that sign, will sign, or have signed tokens that may be alive.
    pub(crate) fn public(&self) -> Vec<pb::Jwk> {
        let now = self.clock.now();
        let held = self.held.read();
        held.iter()
            .filter(|held| held.key.state(now) != KeyState::Expired)
            .map(|held| held.jwk.clone())
            .collect()
    }

    /// The names of the keys that no longer verify, as they come to be.
    pub(crate) fn revoked(&self) -> watch::Receiver<Vec<String>> {
        self.revoked.subscribe()
    }

    fn held(&self) -> Vec<Held> {
        self.held.read().clone()
    }
}

/// Puts a new key in the place of the current one. `token_life` is how long the last token of the
/// old key may live.
pub(crate) async fn rotate(
    store: &dyn Store,
    clock: &Clock,
    algorithm: Algorithm,
    token_life: Duration,
    cx: &Context,
) -> Result<SigningKey, Error> {
    let current = store.list_keys(cx).await?;
    let now: OffsetDateTime = clock.now();
    let first = !current
        .iter()
        .any(|key| key.algorithm == algorithm && key.retired_at.is_none());
    let active_at = if first { now } else { now + PUBLISHED_BEFORE };
    let generator = clock.clone();
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, &generator, active_at)).await;
    let key = made.map_err(|_| Fault::Internal)??;
    // A process reads the keys shortly after they changed, and a token may be verified on a clock
    // that is behind.
    let expires_at = active_at + token_life + Duration::from_secs(60);
    store.rotate_key(&key, expires_at, cx).await?;
    Ok(key)
}

/// Ends the key named `kid` at once: it verifies nothing any more. A key that signs now is replaced
/// by a new one that signs at once.
///
/// Errors: [`Error::KeyNotFound`].
pub(crate) async fn revoke(
    store: &dyn Store,
    clock: &Clock,
    algorithm: Algorithm,
    kid: &str,
    cx: &Context,
) -> Result<(), Error> {
    let keys = store.list_keys(cx).await?;
    let key = keys.into_iter().find(|key| key.kid == kid);
    let key = key.ok_or_else(|| Error::KeyNotFound { kid: kid.to_owned() })?;
    let replacement = if key.retired_at.is_none() && key.algorithm == algorithm {
        let generator = clock.clone();
        let made = tokio::task::spawn_blocking(move || {
            let now = generator.now();
            SigningKey::generate(algorithm, &generator, now)
        });
        Some(made.await.map_err(|_| Fault::Internal)??)
    } else {
        None
    };
    store.revoke_key(kid, replacement.as_ref(), cx).await
}
