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
    /// When it ends, whatever happens.
    pub expires_at: OffsetDateTime,
    /// Why it ended before, if it did.
    pub ended: Option<EndReason>,
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
}

impl EndReason {
    /// The name, as the store writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::Password => "password",
            Self::Account => "account",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Logout, Self::Reuse, Self::Password, Self::Account]
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
