//! A session: one signed-in device, and the family of its refresh tokens.

use time::OffsetDateTime;
use uuid::Uuid;

/// One signed-in device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The `sid` claim of its access tokens.
    pub id: Uuid,
    /// Whose it is.
    pub account_id: Uuid,
    /// Mixed into every successor of its refresh tokens.
    pub secret: [u8; 32],
    /// The program that signed in, as it names itself.
    pub user_agent: String,
    /// The address that signed in; empty when unknown.
    pub ip_address: String,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When its refresh token was last exchanged.
    pub last_used_at: OffsetDateTime,
    /// When its owner last proved who they are: the login, or a later proof.
    pub authenticated_at: OffsetDateTime,
    /// How well they proved it.
    pub assurance: Assurance,
    /// When it ends, whatever happens.
    pub expires_at: OffsetDateTime,
    /// The OAuth 2.0 client that it was issued to; unset where none was configured.
    pub client_id: Option<String>,
    /// Why it ended before, if it did.
    pub ended: Option<EndReason>,
}

/// How well the owner of a session has proven who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// By a password.
    Password,
    /// By a password and a second factor.
    TwoFactors,
}

impl Assurance {
    /// The name, as the store writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::TwoFactors => "two_factors",
        }
    }

    /// The assurance of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Password, Self::TwoFactors]
            .into_iter()
            .find(|assurance| assurance.name() == name)
    }

    /// By what it was proven, as `amr` lists it (RFC 8176 §2).
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::TwoFactors => &["pwd", "otp", "mfa"],
        }
    }
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its owner ended it.
    Logout,
    /// A used refresh token came again.
    Reuse,
    /// The password was changed or reset.
    Password,
    /// The account's role or status changed, or the account is gone.
    Account,
    /// The account has opened as many as it may have since this one was used.
    Limit,
}

impl EndReason {
    /// The name, as the store writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::Password => "password",
            Self::Account => "account",
            Self::Limit => "limit",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Logout, Self::Reuse, Self::Password, Self::Account, Self::Limit]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

/// A session that no longer counts, for those who check access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSession {
    /// The `sid` claim to refuse.
    pub id: Uuid,
    /// When its last access token will have expired by itself.
    pub forget_at: OffsetDateTime,
}
