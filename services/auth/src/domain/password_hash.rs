//! What is kept of a password: an argon2id hash; for imported accounts, until their first login,
//! another well-known one.

use argon2::password_hash::Error;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, PasswordVerifier, Version};
use quartet_kernel::Rule;

use super::Password;

/// An imported hash must be verifiable within about a second, or one login would keep a core busy.
const MAX_BCRYPT_COST: u32 = 14;
const MAX_SHA_ROUNDS: u32 = 1_000_000;
const MAX_ARGON2_KIB: u32 = 1 << 20;
const MAX_ARGON2_PASSES: u32 = 20;

/// How hard a new hash is to compute (RFC 9106 §4; OWASP's minimum is 19 MiB and 2 passes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardness {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Hardness {
    /// The hasher of this hardness.
    ///
    /// Errors: what is wrong with the numbers.
    pub fn hasher(self) -> Result<Argon2<'static>, String> {
        let params = Params::new(self.memory_kib, self.iterations, self.parallelism, None)
            .map_err(|error| format!("argon2 does not take these settings: {error}"))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// A hash of a password, as its text form in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password. Takes tens of milliseconds of a core.
    pub fn of(
        password: &Password,
        salt: [u8; 16],
        hasher: &Argon2<'_>,
        memory: &mut HashMemory,
    ) -> Result<Self, Error> {
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        memory.hash(hasher, password, &salt, &mut output)?;
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(hasher.params())?,
            salt: Some(Salt::new(&salt)?),
            hash: Some(Output::new(&output)?),
        };
        Ok(Self(phc.to_string()))
    }

    /// A hash as the store has it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// A hash from elsewhere: argon2, bcrypt or sha256_crypt (and sha512_crypt), not harder than
    /// this suite is ready to compute.
    pub fn imported(text: &str) -> Result<Self, Rule> {
        let rule = |text: &str| Rule::new("STRING_PATTERN", text);
        let hardness = match Kind::of(text) {
            Some(Kind::Argon2) => argon2_params(text)
                .is_some_and(|params| params.m_cost() <= MAX_ARGON2_KIB && params.t_cost() <= MAX_ARGON2_PASSES),
            Some(Kind::Bcrypt) => text
                .parse::<bcrypt::HashParts>()
                .is_ok_and(|parts| parts.get_cost() <= MAX_BCRYPT_COST),
            Some(Kind::ShaCrypt) => sha_rounds(text).is_some_and(|rounds| rounds <= MAX_SHA_ROUNDS),
            None => return Err(rule("must be an argon2, bcrypt or sha256_crypt hash")),
        };
        if hardness {
            Ok(Self(text.to_owned()))
        } else {
            Err(rule("is malformed or takes too long to verify"))
        }
    }

    /// Whether the hash is of this password. Takes as long as hashing.
    pub fn matches(&self, password: &Password, memory: &mut HashMemory) -> bool {
        match Kind::of(&self.0) {
            Some(Kind::Argon2) => argon2_matches(&self.0, password, memory).unwrap_or(false),
            Some(Kind::Bcrypt) => bcrypt::verify(password.as_bytes(), &self.0).unwrap_or(false),
            Some(Kind::ShaCrypt) => sha_crypt::ShaCrypt::default()
                .verify_password(password.as_bytes(), self.0.as_str())
                .is_ok(),
            None => false,
        }
    }

    /// Whether the hash is of another kind than this suite makes, or easier than the settings
    /// require.
    pub fn is_outdated(&self, hardness: Hardness) -> bool {
        let current = self.0.starts_with("$argon2id$v=19$");
        match argon2_params(&self.0) {
            Some(params) if current => {
                params.m_cost() < hardness.memory_kib
                    || params.t_cost() < hardness.iterations
                    || params.p_cost() < hardness.parallelism
            }
            _ => true,
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Memory in which argon2 hashes. It is worth using again: as much as a hash takes has to be cleared
/// first, page by page.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// Its size in KiB.
    pub fn kib(&self) -> usize {
        self.0.len() * Block::SIZE / 1_024
    }

    /// Has it so many KiB at least, each of which is a block.
    pub(crate) fn reserve(&mut self, blocks: usize) {
        if self.0.len() < blocks {
            // What was here is not copied.
            self.0 = Vec::new();
            self.0.resize(blocks, Block::new());
        }
    }

    fn hash(
        &mut self,
        hasher: &Argon2<'_>,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), argon2::Error> {
        self.reserve(hasher.params().block_count());
        hasher.hash_password_into_with_memory(password.as_bytes(), salt, output, &mut self.0)
    }
}

/// Whether an argon2 hash is of this password; `None` for what is no such hash.
fn argon2_matches(text: &str, password: &Password, memory: &mut HashMemory) -> Option<bool> {
    let phc = Phc::new(text).ok()?;
    let (salt, expected) = (phc.salt?, phc.hash?);
    let version = phc.version.map(Version::try_from).transpose().ok()?;
    let hasher = Argon2::new(
        Algorithm::try_from(phc.algorithm.as_str()).ok()?,
        version.unwrap_or_default(),
        Params::try_from(&phc).ok()?,
    );
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..expected.len())?;
    memory.hash(&hasher, password, &salt, output).ok()?;
    // It compares in constant time.
    Some(Output::new(output).ok()? == expected)
}

enum Kind {
    Argon2,
    Bcrypt,
    ShaCrypt,
}

impl Kind {
    fn of(text: &str) -> Option<Self> {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        if starts(&["$argon2id$", "$argon2i$", "$argon2d$"]) {
            Some(Self::Argon2)
        } else if starts(&["$2a$", "$2b$", "$2y$"]) {
            Some(Self::Bcrypt)
        } else if starts(&["$5$", "$6$"]) {
            Some(Self::ShaCrypt)
        } else {
            None
        }
    }
}

fn argon2_params(text: &str) -> Option<Params> {
    let phc = Phc::new(text).ok()?;
    phc.hash?;
    Params::try_from(&phc).ok()
}

/// The rounds that a SHA-crypt hash names; 5,000 when it names none.
fn sha_rounds(text: &str) -> Option<u32> {
    let mut parts = text.split('$').skip(2);
    let first = parts.next()?;
    let rounds = match first.strip_prefix("rounds=") {
        Some(rounds) => {
            parts.next()?;
            rounds.parse().ok()?
        }
        None => 5_000,
    };
    let digest = parts.next()?;
    (matches!(digest.len(), 43 | 86) && parts.next().is_none()).then_some(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EASY: Hardness = Hardness {
        memory_kib: 64,
        iterations: 1,
        parallelism: 1,
    };

    fn password(text: &str) -> Password {
        Password::presented(text).unwrap()
    }

    fn hash(hardness: Hardness) -> PasswordHash {
        let memory = &mut HashMemory::default();
        PasswordHash::of(&password("zq8!vmx0"), [7; 16], &hardness.hasher().unwrap(), memory).unwrap()
    }

    #[test]
    fn a_hash_matches_its_password_alone() {
        // The memory of other hashes, more of it than this one needs or less, changes nothing.
        let mut memory = HashMemory::default();
        for hardness in [
            EASY,
            Hardness {
                memory_kib: 256,
                ..EASY
            },
            EASY,
        ] {
            let hash = hash(hardness);
            let kib = hardness.memory_kib;
            assert!(hash.as_str().starts_with(&format!("$argon2id$v=19$m={kib},t=1,p=1$")));
            assert!(hash.matches(&password("zq8!vmx0"), &mut memory));
            assert!(!hash.matches(&password("zq8!vmx1"), &mut memory));
        }
        assert_eq!(memory.kib(), 256);
    }

    /// Printed by the program of the reference implementation: `echo -n password | argon2 somesalt -id
    /// -t 2 -k 64 -p 2 -l 24 -e`.
    #[test]
    fn a_hash_of_the_reference_implementation_matches() {
        let text = "$argon2id$v=19$m=64,t=2,p=2$c29tZXNhbHQ$NQrDciL0Nsy1wJcvHr079rlYvyBxhBNi";
        let hash = PasswordHash::imported(text).unwrap();
        assert!(hash.matches(&password("password"), &mut HashMemory::default()));
        assert!(!hash.matches(&password("passwore"), &mut HashMemory::default()));
    }

    #[test]
    fn a_hash_is_outdated_once_the_settings_rise() {
        let hash = hash(EASY);
        assert!(!hash.is_outdated(EASY));
        for harder in [
            Hardness {
                memory_kib: 128,
                ..EASY
            },
            Hardness { iterations: 2, ..EASY },
        ] {
            assert!(hash.is_outdated(harder));
        }
    }

    /// Made by `openssl passwd -5` and by the `crypt` of glibc.
    #[test]
    fn hashes_of_other_programs_verify_and_are_outdated() {
        for (text, secret) in FOREIGN {
            let hash = PasswordHash::imported(text).unwrap();
            let memory = &mut HashMemory::default();
            assert!(hash.matches(&password(secret), memory), "{text}");
            assert!(!hash.matches(&password("something else"), memory), "{text}");
            assert!(hash.is_outdated(EASY), "{text}");
        }
    }

    const FOREIGN: &[(&str, &str)] = &[
        (
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            "Hello world!",
        ),
        (
            "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
            "Hello world!",
        ),
        (
            "$2b$06$abcdefghijklmnopqrstuuCKbUef3jNRJlrU6Qmjn.YsMAu5Q70qK",
            "Hello world!",
        ),
    ];

    #[test]
    fn what_is_no_hash_or_too_hard_is_not_imported() {
        for wrong in [
            "",
            "plain text",
            "$1$md5crypt$xxxxxxxxxxxxxxxxxxxxxx",
            "$2b$31$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkY8jIucDrjc8deX1s.",
            "$5$rounds=999999999$saltstringsaltst$3xv.VbSCBX41eDL9L3voiUOzFXKcN5tSPYnYAVX5KH.",
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ",
        ] {
            assert!(PasswordHash::imported(wrong).is_err(), "{wrong}");
        }
    }
}
