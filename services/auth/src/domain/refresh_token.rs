//! Refresh tokens: opaque, kept as hashes, each with one successor that takes both its holder and
//! the store to derive.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use quartet_clock::Clock;
use sha2::{Digest, Sha256};

/// A refresh token: 256 random bits. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken([u8; 32]);

/// The SHA-256 of a token; the token has 256 random bits, so a slow hash would add nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl RefreshToken {
    /// The first token of a session.
    pub fn draw(clock: &Clock) -> Self {
        Self(clock.random())
    }

    /// The token that a client sends; `None` for a text that is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The token that takes this one's place. It is derived, so that a retry gets the very same one
    /// though the store keeps hashes alone: who reads the store lacks the token, and who steals the
    /// token lacks the session's secret.
    pub fn successor(&self, session_secret: &[u8; 32]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(session_secret).expect("HMAC takes any key");
        mac.update(b"quartet refresh successor");
        mac.update(&self.0);
        Self(mac.finalize().into_bytes().into())
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }

    /// The text that the client gets.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_derived_from_token_and_secret_together() {
        let clock = Clock::system();
        let (token, other) = (RefreshToken::draw(&clock), RefreshToken::draw(&clock));
        assert_eq!(token.successor(&[1; 32]), token.successor(&[1; 32]));
        assert_ne!(token.successor(&[1; 32]), token.successor(&[2; 32]));
        assert_ne!(token.successor(&[1; 32]), other.successor(&[1; 32]));
    }

    #[test]
    fn a_token_survives_its_text_and_nothing_else_is_one() {
        let token = RefreshToken::draw(&Clock::system());
        assert_eq!(RefreshToken::parse(&token.expose()), Some(token.clone()));
        assert_eq!(token.expose().len(), 43);
        for wrong in ["", "x", "a.b.c", &token.expose()[1..], &format!("{}A", token.expose())] {
            assert_eq!(RefreshToken::parse(wrong), None, "{wrong}");
        }
    }
}
