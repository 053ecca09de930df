//! Links to files that anybody may follow who has them, until they expire.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use uuid::Uuid;

/// What [`quartet_rpc::host::Host::key_for`] is called with.
pub const PURPOSE: &str = "quartet.jobs.links";

/// Signs and checks links. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    key: [u8; 32],
}

impl Links {
    /// Links under a key that every process of the service has.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The token of a link to the file of `job` that counts until `expires_at`, to the second.
    pub fn sign(&self, job: Uuid, expires_at: OffsetDateTime) -> String {
        let expires = expires_at.unix_timestamp().to_be_bytes();
        let signature = self.signature(job, expires).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&expires[..], &signature[..]].concat())
    }

    /// Whether `token` is that of a link to the file of `job` that counts at `now`.
    pub fn counts(&self, job: Uuid, token: &str, now: OffsetDateTime) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        let Some((expires, signature)) = bytes.split_first_chunk::<8>() else {
            return false;
        };
        let signed = self.signature(job, *expires).verify_slice(signature).is_ok();
        signed && now.unix_timestamp() < i64::from_be_bytes(*expires)
    }

    #[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
    fn signature(&self, job: Uuid, expires: [u8; 8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length is fine");
        mac.update(job.as_bytes());
        mac.update(&expires);
        mac
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_link_counts_for_its_file_until_it_expires() {
        let (links, job) = (Links::new([7; 32]), Uuid::from_u128(1));
        let token = links.sign(job, datetime!(2026-01-01 12:00 UTC));
        assert!(links.counts(job, &token, datetime!(2026-01-01 11:59:59 UTC)));
        assert!(!links.counts(job, &token, datetime!(2026-01-01 12:00 UTC)));
        assert!(!links.counts(Uuid::from_u128(2), &token, datetime!(2026-01-01 11:00 UTC)));
        assert!(!Links::new([8; 32]).counts(job, &token, datetime!(2026-01-01 11:00 UTC)));
    }

    #[test]
    fn a_link_cannot_be_prolonged() {
        let (links, job) = (Links::new([7; 32]), Uuid::from_u128(1));
        let token = links.sign(job, datetime!(2026-01-01 12:00 UTC));
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        bytes[7] ^= 0x80;
        let forged = URL_SAFE_NO_PAD.encode(bytes);
        for wrong in [forged.as_str(), "", "!", "AAAAAAAAAAA", &token[..20]] {
            assert!(!links.counts(job, wrong, datetime!(2026-01-01 11:00 UTC)), "{wrong}");
        }
    }
}
