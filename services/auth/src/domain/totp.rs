//! Time-based one-time passwords (RFC 6238), as apps make them: SHA-1, six digits, thirty seconds.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use qrcodegen::{QrCode, QrCodeEcc};
use quartet_clock::Clock;
use sha1::Sha1;
use time::OffsetDateTime;

/// Seconds of a time step.
const STEP: i64 = 30;
/// Digits of a code.
const DIGITS: usize = 6;
/// Time steps by which the clock of an app may be off (RFC 6238 §5.2).
const SKEW: i64 = 1;

/// The secret of a second factor. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret([u8; TotpSecret::LENGTH]);

impl TotpSecret {
    /// Bytes of a secret: the length that RFC 4226 §4 recommends.
    pub const LENGTH: usize = 20;

    /// A new secret.
    pub fn draw(clock: &Clock) -> Self {
        Self(clock.random())
    }

    /// The secret of these bytes, if it is one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The secret that somebody types, in base32.
    pub fn from_base32(text: &str) -> Option<Self> {
        Self::from_bytes(&BASE32_NOPAD.decode(text.as_bytes()).ok()?)
    }

    /// The code that an app shows at `now`.
    pub fn code_at(&self, now: OffsetDateTime) -> String {
        self.code(now.unix_timestamp() / STEP)
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Base32, for typing it in.
    pub fn base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// What apps take: `otpauth://totp/…`.
    pub fn uri(&self, issuer: &str, username: &str) -> String {
        let (issuer, username) = (percent(issuer), percent(username));
        format!(
            "otpauth://totp/{issuer}:{username}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
            self.base32()
        )
    }

    /// The time step in which `code` is right, at `now` or next to it.
    pub fn step_of(&self, code: &str, now: OffsetDateTime) -> Option<i64> {
        if code.len() != DIGITS {
            return None;
        }
        let current = now.unix_timestamp() / STEP;
        // All of them are computed and compared in full, so that the time tells nothing.
        let mut found = None;
        for step in current - SKEW..=current + SKEW {
            let right = self.code(step);
            let differs = right.bytes().zip(code.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
            if differs == 0 {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a time step (RFC 4226 §5.3).
    pub fn code(&self, step: i64) -> String {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let offset = usize::from(digest[19] & 15);
        let number = digest[offset..offset + 4]
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A text as a QR code, an SVG image; `None` for a text that is too long for one.
pub fn qr_svg(text: &str) -> Option<String> {
    const BORDER: i32 = 4;
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size() + 2 * BORDER;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + BORDER, y + BORDER));
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path d=\"M0,0h{size}v{size}h-{size}z\" fill=\"#fff\"/><path d=\"{path}\"/></svg>"
    ))
}

/// Percent-encodes what is not unreserved (RFC 3986 §2.3).
fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        // RFC 6238, appendix B, of which an app shows the last six digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code(seconds / 30), code);
            assert_eq!(secret.step_of(code, at(seconds)), Some(seconds / 30));
        }
    }

    #[test]
    fn a_code_is_right_one_step_around_its_own() {
        let secret = TotpSecret::draw(&Clock::system());
        let code = secret.code(100);
        let step_at = |seconds| secret.step_of(&code, at(seconds));
        assert_eq!(step_at(2_970), Some(100));
        assert_eq!(step_at(3_059), Some(100));
        for wrong in ["", "1", "12345", "1234567", "abcdef", "１２３４５６"] {
            assert_eq!(secret.step_of(wrong, at(3_000)), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_gets_the_secret_as_a_uri_and_as_a_picture_of_it() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        let uri = secret.uri("Acme & Co", "ann");
        assert_eq!(
            uri,
            "otpauth://totp/Acme%20%26%20Co:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20%26%20Co\
             &algorithm=SHA1&digits=6&period=30"
        );
        let picture = qr_svg(&uri).unwrap();
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"), "{picture}");
        assert!(!picture.contains("script") && !picture.contains("GEZD"), "{picture}");
        assert_eq!(
            TotpSecret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
            Some(secret)
        );
        assert!(qr_svg(&"x".repeat(5_000)).is_none());
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", TotpSecret::draw(&Clock::system())), "…");
    }
}
