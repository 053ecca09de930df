//! Key pairs of services, in files: each service signs its tokens with a key of its own, and everybody
//! knows the public ones. They take the place of the shared secret where they are set.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use parking_lot::Mutex;
use quartet_config::Error;
use tokio::time::Instant;

use crate::tls::wrong;
use crate::token::{ServiceClaims, validation};

/// How often files of keys are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The private key of a service: an Ed25519 key in PKCS#8 (PEM), read anew for each token, and once
/// its file has changed.
#[derive(Debug, Clone)]
pub(crate) struct PrivateKey {
    file: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    stamp: Option<SystemTime>,
    looked_at: Instant,
    changes: u64,
}

impl PrivateKey {
    /// The key in a file.
    ///
    /// Errors: there is none.
    pub(crate) fn open(file: &Path) -> Result<Self, Error> {
        let key = Self {
            seen: Arc::new(Mutex::new(Seen {
                stamp: modified(file),
                looked_at: Instant::now(),
                changes: 0,
            })),
            file: file.to_owned(),
        };
        key.load().map_err(|rule| wrong("SERVICE_KEY_FILE", file, rule))?;
        Ok(key)
    }

    pub(crate) fn load(&self) -> Result<EncodingKey, String> {
        let pem = std::fs::read(&self.file).map_err(|error| error.to_string())?;
        EncodingKey::from_ed_pem(&pem).map_err(|_| "expected an Ed25519 private key in PEM (PKCS#8)".to_owned())
    }

    /// Changes whenever the file does: what was signed before that is to be signed again.
    pub(crate) fn changes(&self) -> u64 {
        let mut seen = self.seen.lock();
        if seen.looked_at.elapsed() >= LOOK_EVERY {
            seen.looked_at = Instant::now();
            let stamp = modified(&self.file);
            if stamp != seen.stamp {
                seen.stamp = stamp;
                seen.changes += 1;
            }
        }
        seen.changes
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

/// The public keys of services: those of the service `jobs` are in `jobs.pem` and, while one takes
/// the place of another, in `jobs.next.pem` or the like.
pub(crate) struct PublicKeys {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    keys: Arc<HashMap<String, Vec<DecodingKey>>>,
    stamp: Vec<(PathBuf, Option<SystemTime>)>,
    looked_at: Instant,
    changes: u64,
}

impl PublicKeys {
    /// The keys in a folder.
    ///
    /// Errors: it has none, or one that cannot be read.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let failed = |rule| wrong("SERVICE_KEYS_DIR", folder, rule);
        let stamp = files(folder).map_err(failed)?;
        let keys = read(&stamp).map_err(failed)?;
        if keys.is_empty() {
            return Err(failed("expected public keys such as `jobs.pem`".to_owned()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            state: Mutex::new(State {
                keys: Arc::new(keys),
                stamp,
                looked_at: Instant::now(),
                changes: 0,
            }),
        })
    }

    /// Changes whenever the files do: what was verified before that is to be verified again.
    pub(crate) fn changes(&self) -> u64 {
        let mut state = self.state.lock();
        if state.looked_at.elapsed() < LOOK_EVERY {
            return state.changes;
        }
        state.looked_at = Instant::now();
        match files(&self.folder) {
            Ok(stamp) if stamp != state.stamp => match read(&stamp) {
                Ok(keys) => {
                    tracing::info!(folder = %self.folder.display(), "keys of services were read again");
                    state.stamp = stamp;
                    state.keys = Arc::new(keys);
                    state.changes += 1;
                }
                Err(error) => tracing::error!(error, "a key of a service is wrong; the ones of before count"),
            },
            Ok(_) => {}
            Err(error) => tracing::error!(error, "the keys of services cannot be read; the ones of before count"),
        }
        state.changes
    }

    /// What a token claims, if a key of the service that it names has signed it.
    pub(crate) fn verify(&self, token: &str, kid: &str, audience: &str) -> Option<ServiceClaims> {
        let keys = self.state.lock().keys.clone();
        let validation = validation(Algorithm::EdDSA, audience);
        let claims = keys
            .get(kid)?
            .iter()
            .find_map(|key| jsonwebtoken::decode::<ServiceClaims>(token, key, &validation).ok())?
            .claims;
        (claims.sub == kid).then_some(claims)
    }
}

/// The files of keys in a folder, and when each has changed.
fn files(folder: &Path) -> Result<Vec<(PathBuf, Option<SystemTime>)>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let pems = paths.filter(|path| path.extension().is_some_and(|extension| extension == "pem"));
    let mut files: Vec<_> = pems.map(|path| (path.clone(), modified(&path))).collect();
    files.sort();
    Ok(files)
}

/// The keys of each service.
fn read(files: &[(PathBuf, Option<SystemTime>)]) -> Result<HashMap<String, Vec<DecodingKey>>, String> {
    let mut keys: HashMap<String, Vec<DecodingKey>> = HashMap::new();
    for (file, _) in files {
        let shown = file.display();
        let pem = std::fs::read(file).map_err(|error| format!("{shown}: {error}"))?;
        let key =
            DecodingKey::from_ed_pem(&pem).map_err(|_| format!("{shown}: expected an Ed25519 public key in PEM"))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let service = name.split('.').next().unwrap_or_default();
        keys.entry(service.to_owned()).or_default().push(key);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use quartet_clock::Clock;
    use quartet_config::{Secret, Source};
    use quartet_proto::auth::v1 as pb;

    use super::*;
    use crate::keys::{KeySource, Keys};
    use crate::token::ServiceTokens;
    use crate::{Caller, Config, Failure, Revocations, Verifier};

    const SECRET: &str = "a secret that every process has, long enough";

    struct NoKeys;

    #[async_trait::async_trait]
    impl KeySource for NoKeys {
        async fn fetch(&self) -> Result<pb::JwkSet, Failure> {
            Ok(pb::JwkSet::default())
        }
    }

    /// A folder for private keys and one for public ones.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("quartet-keys-{name}-{}", std::process::id()));
            std::fs::create_dir_all(folder.join("public")).unwrap();
            Self(folder)
        }

        /// Makes a key pair of `service`; where the private one is.
        fn key(&self, service: &str, public: &str) -> PathBuf {
            let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
            let file = self.0.join(format!("{service}.key"));
            std::fs::write(&file, pair.serialize_pem()).unwrap();
            std::fs::write(self.0.join("public").join(public), pair.public_key_pem()).unwrap();
            file
        }

        fn verifier(&self) -> Verifier {
            let public = self.0.join("public").display().to_string();
            let config = Config::read(&Source::of([("SERVICE_KEYS_DIR", public.as_str())])).unwrap();
            let (clock, secret) = (Clock::system(), Secret::new(SECRET));
            let revocations = Revocations::new(clock.clone(), Duration::from_secs(60));
            Verifier::new(&config, &secret, Keys::new(Arc::new(NoKeys), None), revocations, clock).unwrap()
        }
    }

    fn signed(service: &str, key: &Path) -> String {
        let key = PrivateKey::open(key).unwrap();
        let tokens = ServiceTokens::signed_with(service, "quartet", key, Clock::system());
        tokens.current().unwrap()
    }

    async fn verified(verifier: &Verifier, token: &str) -> Option<String> {
        match verifier.verify(token).await {
            Ok(Caller::Service(name)) => Some(name),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_service_speaks_for_itself_alone_where_each_has_a_key() {
        let folder = Folder::new("each");
        let (jobs, todos) = (folder.key("jobs", "jobs.pem"), folder.key("todos", "todos.pem"));
        let verifier = folder.verifier();
        assert_eq!(
            verified(&verifier, &signed("jobs", &jobs)).await.as_deref(),
            Some("jobs")
        );
        assert_eq!(
            verified(&verifier, &signed("todos", &todos)).await.as_deref(),
            Some("todos")
        );
        for (service, key) in [("users", &todos), ("jobs", &todos), ("quartet", &todos)] {
            assert_eq!(verified(&verifier, &signed(service, key)).await, None, "{service}");
        }
        // The shared secret speaks for nobody any more.
        let shared = ServiceTokens::new("jobs", "quartet", &Secret::new(SECRET), Clock::system());
        assert_eq!(verified(&verifier, &shared.current().unwrap()).await, None);
        std::fs::remove_dir_all(&folder.0).unwrap();
    }

    #[tokio::test]
    async fn a_service_signs_with_another_key_within_seconds() {
        let folder = Folder::new("private");
        let file = folder.key("jobs", "jobs.pem");
        let key = PrivateKey::open(&file).unwrap();
        let tokens = ServiceTokens::signed_with("jobs", "quartet", key, Clock::system());
        let before = tokens.current().unwrap();
        assert_eq!(tokens.current().unwrap(), before, "one serves for a while");
        folder.key("jobs", "jobs.next.pem");
        let begun = Instant::now();
        let after = loop {
            match tokens.current().unwrap() {
                token if token != before => break token,
                _ => assert!(begun.elapsed() < Duration::from_secs(10), "the old key still signs"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        std::fs::remove_file(folder.0.join("public/jobs.pem")).unwrap();
        assert!(verified(&folder.verifier(), &after).await.is_some());
        // While the file is wrong, the token that was signed before it goes on.
        std::fs::write(&file, "no key").unwrap();
        let begun = Instant::now();
        while begun.elapsed() < LOOK_EVERY * 2 {
            assert_eq!(tokens.current().unwrap(), after);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::fs::remove_dir_all(&folder.0).unwrap();
    }

    #[tokio::test]
    async fn a_key_of_a_service_is_replaced_without_a_restart() {
        let folder = Folder::new("rotation");
        let old = folder.key("jobs", "jobs.pem");
        let verifier = folder.verifier();
        let before = signed("jobs", &old);
        assert!(verified(&verifier, &before).await.is_some());
        let new = folder.key("jobs", "jobs.next.pem");
        let after = signed("jobs", &new);
        let begun = Instant::now();
        while verified(&verifier, &after).await.is_none() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the new key is not taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(verified(&verifier, &before).await.is_some(), "both are taken meanwhile");
        std::fs::rename(folder.0.join("public/jobs.next.pem"), folder.0.join("public/jobs.pem")).unwrap();
        let begun = Instant::now();
        while verified(&verifier, &before).await.is_some() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the old key is still taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(verified(&verifier, &after).await.is_some());
        std::fs::remove_dir_all(&folder.0).unwrap();
    }
}
