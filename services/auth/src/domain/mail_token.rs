//! The single-use tokens that mails carry.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Account, Status, TokenHash};

/// How long the owner of an old address can undo its change.
pub const UNDO: Duration = Duration::from_secs(3 * 86_400);

/// What a token from a mail is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Setting a new password.
    PasswordReset,
    /// Proving the address.
    EmailVerification,
    /// Proving the address that was requested for an account, which takes the place of its own.
    EmailChange,
    /// Nothing: the mail warns the owner of an address that another one was requested for their
    /// account. Its token is kept, and never sent, since it records when.
    EmailChangeNotice,
    /// Giving an account its old address back. The mail goes to that.
    EmailChangeUndo,
    /// Nothing: the mail warns the owner of an address that somebody has registered with it, or has
    /// requested it for another account. Its token is kept, and never sent, since it records when.
    AddressTaken,
}

impl Purpose {
    const ALL: [Self; 6] = [
        Self::PasswordReset,
        Self::EmailVerification,
        Self::EmailChange,
        Self::EmailChangeNotice,
        Self::EmailChangeUndo,
        Self::AddressTaken,
    ];

    /// The name, as the store writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
            Self::EmailChange => "email_change",
            Self::EmailChangeNotice => "email_change_notice",
            Self::EmailChangeUndo => "email_change_undo",
            Self::AddressTaken => "address_taken",
        }
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// How long a token of this purpose works.
    pub fn lifetime(self) -> Duration {
        match self {
            Self::PasswordReset | Self::EmailChangeNotice | Self::AddressTaken => Duration::from_secs(3_600),
            Self::EmailVerification | Self::EmailChange => Duration::from_secs(86_400),
            Self::EmailChangeUndo => UNDO,
        }
    }

    /// An account gets one mail of this purpose in this time.
    pub fn apart(self) -> Duration {
        match self {
            Self::PasswordReset
            | Self::EmailVerification
            | Self::EmailChange
            | Self::EmailChangeNotice
            | Self::EmailChangeUndo => Duration::from_secs(60),
            // Strangers decide when it is requested.
            Self::AddressTaken => Duration::from_secs(3_600),
        }
    }
}

/// A mail that was requested, for an address that may or may not have an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRequest {
    /// The id of the request.
    pub id: Uuid,
    /// What the mail is for.
    pub purpose: Purpose,
    /// The address, as [`quartet_kernel::Email::key`].
    pub email_key: String,
    /// The account; unset when the mail goes to whichever account has the address.
    pub account_id: Option<Uuid>,
    /// The account whose request has led to the mail, where it goes to the owner of another one.
    pub requested_by: Option<Uuid>,
}

impl MailRequest {
    /// A mail to the owner of an account.
    pub fn to_account(id: Uuid, purpose: Purpose, email_key: String, account_id: Uuid) -> Self {
        Self {
            id,
            purpose,
            email_key,
            account_id: Some(account_id),
            requested_by: None,
        }
    }

    /// A warning to whoever has an address that `requested_by`, or a newcomer, has requested.
    pub fn of_taken(id: Uuid, email_key: String, requested_by: Option<Uuid>) -> Self {
        Self {
            id,
            purpose: Purpose::AddressTaken,
            email_key,
            account_id: None,
            requested_by,
        }
    }

    /// The address that the mail goes to, while `account` needs it.
    pub fn recipient<'a>(&'a self, account: &'a Account) -> Option<&'a str> {
        let needed = match self.purpose {
            Purpose::PasswordReset | Purpose::AddressTaken => account.status() == Status::Active,
            Purpose::EmailVerification => !account.email_verified && account.status() != Status::Closed,
            Purpose::EmailChange | Purpose::EmailChangeNotice | Purpose::EmailChangeUndo => {
                account.status() != Status::Closed
            }
        };
        let address = match self.purpose {
            Purpose::EmailChange => account.pending_email.as_deref()?,
            Purpose::EmailChangeUndo => &self.email_key,
            // Nobody has proven to be who claims an address.
            _ if !account.holds_email => return None,
            Purpose::PasswordReset
            | Purpose::EmailVerification
            | Purpose::EmailChangeNotice
            | Purpose::AddressTaken => &account.email,
        };
        // The address may have changed since the request.
        (needed && address.to_lowercase() == self.email_key).then_some(address)
    }
}

/// The key that tokens of mails are derived under. It is in no store, so whoever reads the store
/// lacks the tokens.
#[derive(Clone)]
pub struct MailKey([u8; 32]);

impl MailKey {
    /// What the key is drawn for from the secret that the processes of the suite share.
    pub const PURPOSE: &'static str = "quartet.auth.mail_tokens";

    /// A key that every process of the service has.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The token that was issued for `request` at `issued_at`, to the microsecond. It is derived,
    /// so that a mail that is sent again carries the same one though the store keeps hashes alone.
    pub fn token(&self, request: Uuid, issued_at: OffsetDateTime) -> MailToken {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(b"quartet mail token");
        mac.update(request.as_bytes());
        mac.update(&issued_at.unix_timestamp().to_be_bytes());
        mac.update(&issued_at.microsecond().to_be_bytes());
        MailToken(mac.finalize().into_bytes().into())
    }
}

/// A token that a mail carries: 256 bits that cannot be guessed. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MailToken([u8; 32]);

impl MailToken {
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_token_is_of_one_request_one_time_and_one_key() {
        let (key, request) = (MailKey::new([1; 32]), Uuid::from_u128(1));
        let issued_at = datetime!(2026-01-01 12:00:00.000001 UTC);
        let token = key.token(request, issued_at);
        assert_eq!(key.token(request, issued_at), token);
        assert_eq!(MailToken::parse(&token.expose()), Some(token.clone()));
        assert_ne!(key.token(Uuid::from_u128(2), issued_at), token);
        assert_ne!(key.token(request, datetime!(2026-01-01 12:00 UTC)), token);
        assert_ne!(MailKey::new([2; 32]).token(request, issued_at), token);
    }
}
