//! The second factor of an account, as it is kept, and the challenge of a login that lacks it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use quartet_clock::Clock;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{PasswordHash, TokenHash, TotpSecret};

/// Recovery codes that an account gets.
pub const RECOVERY_CODES: usize = 10;
/// How long the challenge of a login works.
pub const CHALLENGE_TTL: Duration = Duration::from_secs(300);

/// The second factor of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Whose it is.
    pub account_id: Uuid,
    /// The encrypted secret.
    pub sealed: Vec<u8>,
    /// The hashes of the recovery codes that are left.
    pub recovery_codes: Vec<TokenHash>,
    /// When it was confirmed; unset while logins do not demand it.
    pub confirmed_at: Option<OffsetDateTime>,
    /// The time step of the last code.
    pub last_step: i64,
}

/// A code that signs in once, for whoever has lost their app: 120 random bits, so that a plain hash
/// keeps it (ASVS 6.5.2 demands 112). Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Vec<u8>);

/// Bytes of a recovery code.
const RECOVERY_CODE_LEN: usize = 15;
/// Bytes of one that was drawn before codes had 120 bits. Their owners keep them on paper.
const SHORT_RECOVERY_CODE_LEN: usize = 10;

impl RecoveryCode {
    /// A new code.
    pub fn draw(clock: &Clock) -> Self {
        Self(clock.random::<RECOVERY_CODE_LEN>().into())
    }

    /// The code that somebody types, in any case and with or without dashes and blanks.
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
        matches!(bytes.len(), RECOVERY_CODE_LEN | SHORT_RECOVERY_CODE_LEN).then_some(Self(bytes))
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(&self.0).into())
    }

    /// The text that its owner keeps: `abcd-efgh-ijkl-mnop-qrst-uvwx`.
    pub fn expose(&self) -> String {
        let text = BASE32_NOPAD.encode(&self.0).to_ascii_lowercase();
        let groups: Vec<&str> = (0..text.len())
            .step_by(4)
            .filter_map(|at| text.get(at..at + 4))
            .collect();
        groups.join("-")
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The key that secrets of second factors are encrypted under, and challenges signed with. It is in no
/// store: whoever reads the store makes no codes.
#[derive(Clone)]
pub struct FactorKey([u8; 32]);

impl FactorKey {
    /// What the key is drawn for from the secret that the processes of the suite share.
    pub const PURPOSE: &'static str = "quartet.auth.second_factors";

    /// A key that every process of the service has.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The secret of an account, encrypted (AES-256-GCM): a random nonce, then the text. It opens for
    /// that account alone.
    pub fn seal(&self, secret: &TotpSecret, account_id: Uuid, clock: &Clock) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = clock.random();
        let mut text = secret.expose().to_vec();
        let aad = Aad::from(*account_id.as_bytes());
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .ok()?;
        Some([nonce.as_slice(), &text].concat())
    }

    /// The secret of an account; `None` for what was encrypted under another key, or for another account.
    pub fn open(&self, sealed: &[u8], account_id: Uuid) -> Option<TotpSecret> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(*account_id.as_bytes());
        TotpSecret::from_bytes(self.cipher()?.open_in_place(nonce, aad, &mut text).ok()?)
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0).ok().map(LessSafeKey::new)
    }

    /// The challenge of a login whose password was right at `now`, for the OAuth 2.0 client that has sent it,
    /// if one has: no other one completes it.
    pub fn challenge(
        &self,
        account_id: Uuid,
        password: &PasswordHash,
        client: Option<&str>,
        now: OffsetDateTime,
    ) -> Challenge {
        let mut bytes = account_id.as_bytes().to_vec();
        bytes.extend_from_slice(&now.unix_timestamp().to_be_bytes());
        let signature = self.mac(&bytes, password, client).finalize().into_bytes();
        bytes.extend_from_slice(&signature);
        Challenge(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The account that a challenge names, whether or not it is genuine.
    pub fn account_of(challenge: &str) -> Option<Uuid> {
        Uuid::from_slice(URL_SAFE_NO_PAD.decode(challenge).ok()?.get(..16)?).ok()
    }

    /// Whether a challenge is genuine, of this account with this password and of this client, and not expired
    /// at `now`.
    pub fn accepts(
        &self,
        challenge: &str,
        account_id: Uuid,
        password: &PasswordHash,
        client: Option<&str>,
        now: OffsetDateTime,
    ) -> bool {
        let verified = || {
            let bytes = URL_SAFE_NO_PAD.decode(challenge).ok()?;
            let (signed, signature) = bytes.split_at_checked(24)?;
            self.mac(signed, password, client).verify_slice(signature).ok()?;
            let (account, issued_at) = signed.split_at(16);
            let issued_at = i64::from_be_bytes(issued_at.try_into().ok()?);
            let issued_at = OffsetDateTime::from_unix_timestamp(issued_at).ok()?;
            Some(account == account_id.as_bytes() && now - issued_at < CHALLENGE_TTL)
        };
        verified().unwrap_or(false)
    }

    fn mac(&self, signed: &[u8], password: &PasswordHash, client: Option<&str>) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(b"quartet login challenge");
        mac.update(signed);
        mac.update(password.as_str().as_bytes());
        if let Some(client) = client {
            // No hash of a password has such a byte.
            mac.update(b"\0");
            mac.update(client.as_bytes());
        }
        mac
    }
}

/// What a login that lacks a code gets: it proves that the password was right. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// The text that the client gets.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_secret_opens_for_its_account_under_its_key_alone() {
        let (clock, key) = (Clock::system(), FactorKey::new([1; 32]));
        let (secret, ann, bob) = (TotpSecret::draw(&clock), Uuid::from_u128(1), Uuid::from_u128(2));
        let sealed = key.seal(&secret, ann, &clock).unwrap();
        assert_eq!(key.open(&sealed, ann), Some(secret.clone()));
        assert_ne!(key.seal(&secret, ann, &clock).unwrap(), sealed);
        assert!(!sealed.windows(8).any(|part| secret.expose().starts_with(part)));
        assert_eq!(key.open(&sealed, bob), None);
        assert_eq!(FactorKey::new([2; 32]).open(&sealed, ann), None);
        for n in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[n] ^= 1;
            assert_eq!(key.open(&forged, ann), None, "{n}");
            assert_eq!(key.open(&sealed[..n], ann), None, "{n}");
        }
    }

    #[test]
    fn a_challenge_is_of_one_account_one_password_and_five_minutes() {
        let (key, now) = (FactorKey::new([1; 32]), datetime!(2026-01-01 12:00 UTC));
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let [first, second] = ["first", "second"].map(|hash| PasswordHash::stored(hash.into()));
        let challenge = key.challenge(ann, &first, None, now);
        assert_eq!(FactorKey::account_of(challenge.expose()), Some(ann));
        assert!(key.accepts(challenge.expose(), ann, &first, None, now));
        assert!(!key.accepts(challenge.expose(), bob, &first, None, now));
        assert!(!key.accepts(challenge.expose(), ann, &second, None, now));
        assert!(!key.accepts(challenge.expose(), ann, &first, None, now + CHALLENGE_TTL));
        assert!(!FactorKey::new([2; 32]).accepts(challenge.expose(), ann, &first, None, now));
        assert!(!key.accepts("nonsense", ann, &first, None, now));
    }

    #[test]
    fn a_recovery_code_is_read_as_people_type_it() {
        let code = RecoveryCode::draw(&Clock::system());
        let text = code.expose();
        assert_eq!(text.len(), 29);
        for typed in [text.clone(), text.to_uppercase(), text.replace('-', " ")] {
            assert_eq!(RecoveryCode::parse(&typed), Some(code.clone()));
        }
        for nonsense in ["123456", &text[..24], &format!("{text}-aaaa")] {
            assert_eq!(RecoveryCode::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_recovery_code_has_120_bits_and_shorter_ones_of_before_count() {
        assert!(RecoveryCode::draw(&Clock::system()).0.len() * 8 >= 112);
        assert!(RecoveryCode::parse("abcd-efgh-ijkl-mnop").is_some());
    }
}
