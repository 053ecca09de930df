//! Who is calling.

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
    /// The user's tier, if they have one.
    pub tier: Option<String>,
    /// When the token was issued.
    pub issued_at: OffsetDateTime,
    /// When the token expires.
    pub expires_at: OffsetDateTime,
}

impl User {
    /// Whether the user administers the suite.
    pub fn is_superuser(&self) -> bool {
        self.role == Role::Superuser
    }
}
