//! Who is calling.

use std::sync::Arc;

use quartet_kernel::Role;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who is calling, as their token proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// A signed-in user.
    User(User),
    /// Another service of the suite, by name.
    Service(String),
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The account, and the user: `sub`.
    pub id: Uuid,
    /// The session: `sid`.
    pub session_id: Uuid,
    /// What the user may do.
    pub role: Role,
    /// The user is a superuser who lacks the second factor that the settings demand, and has the role of
    /// a user meanwhile.
    pub lacks_second_factor: bool,
    /// The user's tier, if they have one.
    pub tier: Option<String>,
    /// When they last proved who they are, by a password or a second factor: `auth_time`.
    pub authenticated_at: OffsetDateTime,
    /// When the token was issued.
    pub issued_at: OffsetDateTime,
    /// When the token expires.
    pub expires_at: OffsetDateTime,
    /// The OAuth 2.0 client that the token was issued to: `client_id`.
    pub client_id: Arc<str>,
    /// The key that signed the token: `kid`.
    pub key_id: Arc<str>,
}

impl User {
    /// Whether the user administers the suite.
    pub fn is_superuser(&self) -> bool {
        self.role == Role::Superuser
    }
}
