//! The single-use tokens that mails carry.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quartet_clock::Clock;
use sha2::{Digest, Sha256};

use super::TokenHash;

/// What a token from a mail is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Setting a new password.
    PasswordReset,
    /// Proving the address.
    EmailVerification,
    /// Proving the address that an account asked for, which takes the place of its own.
    EmailChange,
    /// Nothing: the mail tells the owner of an address that their account asked for another one. Its token is kept, and never sent, to tell
    /// when.
    EmailChangeNotice,
}

impl Purpose {
    const ALL: [Self; 4] = [
        Self::PasswordReset,
        Self::EmailVerification,
        Self::EmailChange,
        Self::EmailChangeNotice,
    ];

    /// The name, as the store writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
            Self::EmailChange => "email_change",
            Self::EmailChangeNotice => "email_change_notice",
        }
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// How long a token of this purpose works.
    pub fn lifetime(self) -> Duration {
        match self {
            Self::PasswordReset | Self::EmailChangeNotice => Duration::from_secs(3_600),
            Self::EmailVerification | Self::EmailChange => Duration::from_secs(86_400),
        }
    }
}

/// A token that a mail carries: 256 random bits. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MailToken([u8; 32]);

impl MailToken {
    /// A new token.
    pub fn draw(clock: &Clock) -> Self {
        Self(clock.random())
    }

    /// The token that a client sends; `None` for a text that is none.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }

    /// The text that the mail gets.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for MailToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
