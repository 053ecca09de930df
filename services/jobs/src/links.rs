//! Links to files that anybody may follow who has them, until they expire or the session ends that they
//! were shown to.

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

    /// The token of a link to the file of `job`, as shown to `session`, that counts until `expires_at`, to
    /// the second.
    pub fn sign(&self, job: Uuid, session: Uuid, expires_at: OffsetDateTime) -> String {
        let expires = expires_at.unix_timestamp().to_be_bytes();
        let signature = self.signature(job, session, expires).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&expires[..], session.as_bytes(), &signature[..]].concat())
    }

    /// The session that `token` was shown to, if it is that of a link to the file of `job` that has not
    /// expired at `now`.
    pub fn session(&self, job: Uuid, token: &str, now: OffsetDateTime) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (expires, rest) = bytes.split_first_chunk::<8>()?;
        let (session, signature) = rest.split_first_chunk::<16>()?;
        let session = Uuid::from_bytes(*session);
        self.signature(job, session, *expires).verify_slice(signature).ok()?;
        (now.unix_timestamp() < i64::from_be_bytes(*expires)).then_some(session)
    }

    #[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
    fn signature(&self, job: Uuid, session: Uuid, expires: [u8; 8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length is fine");
        mac.update(job.as_bytes());
        mac.update(session.as_bytes());
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
        let session = Uuid::from_u128(3);
        let token = links.sign(job, session, datetime!(2026-01-01 12:00 UTC));
        let before = datetime!(2026-01-01 11:59:59 UTC);
        assert_eq!(links.session(job, &token, before), Some(session));
        assert_eq!(links.session(job, &token, datetime!(2026-01-01 12:00 UTC)), None);
        assert_eq!(links.session(Uuid::from_u128(2), &token, before), None);
        assert_eq!(Links::new([8; 32]).session(job, &token, before), None);
    }

    #[test]
    fn a_link_cannot_be_prolonged_or_be_anothers() {
        let (links, job) = (Links::new([7; 32]), Uuid::from_u128(1));
        let token = links.sign(job, Uuid::from_u128(3), datetime!(2026-01-01 12:00 UTC));
        let forged = |position: usize| {
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            bytes[position] ^= 0x80;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        // Its time, its session, its signature.
        let (time, session, signature) = (forged(7), forged(20), forged(30));
        for wrong in [
            time.as_str(),
            &session,
            &signature,
            "",
            "!",
            "AAAAAAAAAAA",
            &token[..20],
        ] {
            assert_eq!(
                links.session(job, wrong, datetime!(2026-01-01 11:00 UTC)),
                None,
                "{wrong}"
            );
        }
    }
}
