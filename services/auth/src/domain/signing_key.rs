//! The keys that sign access tokens: how they are made, named and turned over.

use std::fmt;
use std::str::FromStr;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm as JwtAlgorithm, EncodingKey};
use p256::pkcs8::EncodePrivateKey;
use quartet_clock::Clock;
use rsa::pkcs1::EncodeRsaPrivateKey;
use time::OffsetDateTime;

/// The PKCS#8 frame of an Ed25519 key (RFC 8410 §7): the 32 bytes of the key follow it.
const ED25519_FRAME: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Bits of an RSA key (RFC 7518 §3.3 requires 2048 at the least).
const RSA_BITS: usize = 2_048;

/// How access tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// HMAC with SHA-256 and a secret that every process has; no key is made or published.
    Hs256,
}

impl Algorithm {
    /// The name, as tokens, the store and settings write it (RFC 7518 §3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm as the JWT library names it.
    pub fn jwt(self) -> JwtAlgorithm {
        match self {
            Self::EdDsa => JwtAlgorithm::EdDSA,
            Self::Es256 => JwtAlgorithm::ES256,
            Self::Rs256 => JwtAlgorithm::RS256,
            Self::Hs256 => JwtAlgorithm::HS256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::EdDsa, Self::Es256, Self::Rs256, Self::Hs256]
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or_else(|| "expected EdDSA, ES256, RS256 or HS256".into())
    }
}

/// A key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("a {algorithm} key {problem}")]
pub struct KeyError {
    algorithm: Algorithm,
    problem: String,
}

/// A key pair that signs access tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its RFC 7638 thumbprint, which tokens carry in their header.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The private key in DER: PKCS#1 for RSA, PKCS#8 for the others.
    pub private_key: Vec<u8>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when it signs.
    pub active_at: OffsetDateTime,
    /// From when it no longer signs.
    pub retired_at: Option<OffsetDateTime>,
    /// Until when it still verifies.
    pub expires_at: Option<OffsetDateTime>,
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, but not signing yet.
    Next,
    /// Signs.
    Active,
    /// No longer signs, still verifies.
    Retired,
    /// No longer verifies.
    Expired,
}

impl KeyState {
    /// The name, as it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Expired => "expired",
        }
    }
}

impl SigningKey {
    /// Makes a key that signs from `active_at` on. An RSA key takes a second of a core.
    pub fn generate(algorithm: Algorithm, clock: &Clock, active_at: OffsetDateTime) -> Result<Self, KeyError> {
        let error = |problem: String| KeyError { algorithm, problem };
        let failed = |source: &dyn fmt::Display| error(format!("cannot be made: {source}"));
        let private_key = match algorithm {
            Algorithm::EdDsa => [ED25519_FRAME.as_slice(), &clock.random::<32>()].concat(),
            Algorithm::Es256 => loop {
                // All but one in 2^32 numbers of this length are keys of the curve.
                if let Ok(key) = p256::SecretKey::from_slice(&clock.random::<32>()) {
                    let der = key.to_pkcs8_der().map_err(|source| failed(&source))?;
                    break der.as_bytes().to_vec();
                }
            },
            Algorithm::Rs256 => {
                let key =
                    rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS).map_err(|source| failed(&source))?;
                let der = key.to_pkcs1_der().map_err(|source| failed(&source))?;
                der.as_bytes().to_vec()
            }
            Algorithm::Hs256 => return Err(error("is a setting, JWT_HS256_SECRET, and is not made".into())),
        };
        let mut key = Self {
            kid: String::new(),
            algorithm,
            private_key,
            created_at: clock.now(),
            active_at,
            retired_at: None,
            expires_at: None,
        };
        key.kid = key
            .jwk()?
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(|source| failed(&source))?;
        Ok(key)
    }

    /// Where the key stands at `now`.
    pub fn state(&self, now: OffsetDateTime) -> KeyState {
        let past = |time: Option<OffsetDateTime>| time.is_some_and(|time| time <= now);
        if past(self.expires_at) {
            KeyState::Expired
        } else if past(self.retired_at) {
            KeyState::Retired
        } else if self.active_at <= now {
            KeyState::Active
        } else {
            KeyState::Next
        }
    }

    /// The key as the JWT library signs with it.
    pub fn encoding_key(&self) -> EncodingKey {
        match self.algorithm {
            Algorithm::EdDsa => EncodingKey::from_ed_der(&self.private_key),
            Algorithm::Es256 => EncodingKey::from_ec_der(&self.private_key),
            Algorithm::Rs256 => EncodingKey::from_rsa_der(&self.private_key),
            Algorithm::Hs256 => EncodingKey::from_secret(&self.private_key),
        }
    }

    /// The public half.
    pub fn public(&self) -> Result<AlgorithmParameters, KeyError> {
        self.jwk().map(|jwk| jwk.algorithm)
    }

    fn jwk(&self) -> Result<Jwk, KeyError> {
        Jwk::from_encoding_key(&self.encoding_key(), self.algorithm.jwt()).map_err(|source| KeyError {
            algorithm: self.algorithm,
            problem: format!("cannot be read: {source}"),
        })
    }
}

impl fmt::Debug for SigningKey {
    /// Without the private half.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {}", self.algorithm, self.kid)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn a_key_of_every_algorithm_is_named_by_its_thumbprint() {
        let clock = Clock::system();
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
            let key = SigningKey::generate(algorithm, &clock, clock.now()).unwrap();
            assert_eq!(key.kid.len(), 43, "{algorithm}");
            assert_eq!(key.jwk().unwrap().thumbprint(ThumbprintHash::SHA256).unwrap(), key.kid);
        }
        assert!(SigningKey::generate(Algorithm::Hs256, &clock, clock.now()).is_err());
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_after_it_signed() {
        let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH);
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let mut key = SigningKey::generate(Algorithm::EdDsa, &clock, at(10)).unwrap();
        key.retired_at = Some(at(20));
        key.expires_at = Some(at(30));
        let states = [9, 10, 19, 20, 29, 30].map(|second| key.state(at(second)).name());
        assert_eq!(states, ["next", "active", "active", "retired", "retired", "expired"]);
    }

    #[test]
    fn a_key_does_not_print_its_private_half() {
        let clock = Clock::system();
        let key = SigningKey::generate(Algorithm::EdDsa, &clock, clock.now()).unwrap();
        assert_eq!(format!("{key:?}"), format!("EdDSA key {}", key.kid));
    }
}
