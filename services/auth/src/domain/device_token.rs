//! The token by which a device is known again that has signed in before.
//!
//! It is no credential: it opens nothing, and the password is checked as ever. It only makes failures
//! from the device count by themselves, so that those of others never delay its owner, while whoever
//! has stolen it guesses no faster than anybody.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use uuid::Uuid;

/// A device that an account has signed in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The account.
    pub account_id: Uuid,
    /// The device: one browser, one installed client.
    pub id: Uuid,
}

impl Device {
    /// What failures from it are counted under, in the place of an address.
    pub fn address(&self) -> String {
        format!("device:{}", self.id.simple())
    }
}

/// The key that tokens of devices are signed with.
#[derive(Clone)]
pub struct DeviceKey([u8; 32]);

impl DeviceKey {
    /// What the key is drawn for from the secret that the processes of the suite share.
    pub const PURPOSE: &'static str = "quartet.auth.device_tokens";

    /// Bytes that are signed: two ids and a time.
    const SIGNED: usize = 40;

    /// A key that every process of the service has.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The token of a device, issued at `now`.
    pub fn issue(&self, device: Device, now: OffsetDateTime) -> DeviceToken {
        let mut bytes = Vec::with_capacity(Self::SIGNED + 32);
        bytes.extend_from_slice(device.account_id.as_bytes());
        bytes.extend_from_slice(device.id.as_bytes());
        bytes.extend_from_slice(&now.unix_timestamp().to_be_bytes());
        let signature = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature);
        DeviceToken(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The device of a token that was issued less than `ttl` before `now`; `None` for any other
    /// text.
    pub fn verify(&self, token: &str, ttl: Duration, now: OffsetDateTime) -> Option<Device> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signed, signature) = bytes.split_at_checked(Self::SIGNED)?;
        self.mac(signed).verify_slice(signature).ok()?;
        let (account_id, rest) = signed.split_at(16);
        let (id, issued_at) = rest.split_at(16);
        let issued_at = i64::from_be_bytes(issued_at.try_into().ok()?);
        let issued_at = OffsetDateTime::from_unix_timestamp(issued_at).ok()?;
        let device = Device {
            account_id: Uuid::from_slice(account_id).ok()?,
            id: Uuid::from_slice(id).ok()?,
        };
        (now - issued_at < ttl).then_some(device)
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(b"quartet device token");
        mac.update(signed);
        mac
    }
}

/// A token that a device keeps. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceToken(String);

impl DeviceToken {
    /// The text that the device gets.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);
    const DEVICE: Device = Device {
        account_id: Uuid::from_u128(1),
        id: Uuid::from_u128(2),
    };

    #[test]
    fn a_token_is_of_one_device_until_it_expires() {
        let (key, now) = (DeviceKey::new([1; 32]), datetime!(2026-01-01 12:00 UTC));
        let token = key.issue(DEVICE, now);
        assert_eq!(key.verify(token.expose(), TTL, now), Some(DEVICE));
        assert_eq!(
            key.verify(token.expose(), TTL, now + Duration::from_secs(59)),
            Some(DEVICE)
        );
        assert_eq!(key.verify(token.expose(), TTL, now + TTL), None);
        assert_eq!(DeviceKey::new([2; 32]).verify(token.expose(), TTL, now), None);
    }

    #[test]
    fn a_token_with_any_byte_changed_is_none() {
        let (key, now) = (DeviceKey::new([1; 32]), datetime!(2026-01-01 12:00 UTC));
        let bytes = URL_SAFE_NO_PAD.decode(key.issue(DEVICE, now).expose()).unwrap();
        for n in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[n] ^= 1;
            assert_eq!(key.verify(&URL_SAFE_NO_PAD.encode(&forged), TTL, now), None, "{n}");
            assert_eq!(key.verify(&URL_SAFE_NO_PAD.encode(&bytes[..n]), TTL, now), None, "{n}");
        }
        assert_eq!(key.verify("no token", TTL, now), None);
    }
}
