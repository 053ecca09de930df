//! What this service knows of an account.

use quartet_kernel::{DisplayName, Email, Role, Username};
use time::OffsetDateTime;
use uuid::Uuid;

/// The fields of an account that its user shows.
#[derive(Debug, Clone)]
pub struct Account {
    /// Id of the account, and of its user.
    pub id: Uuid,
    /// Name to give the user when it is made; the user name when `None`. A user that is there keeps
    /// its own.
    pub name: Option<DisplayName>,
    /// The account's user name.
    pub username: Username,
    /// The account's address.
    pub email: Email,
    /// The account's role.
    pub role: Role,
    /// When the account last changed, if that is known.
    pub updated_at: Option<OffsetDateTime>,
}

impl Account {
    /// Name to give the user when it is made.
    pub fn first_name(&self) -> &str {
        self.name.as_ref().map_or(self.username.as_str(), DisplayName::as_str)
    }
}

/// What happened to an account.
#[derive(Debug, Clone)]
pub enum AccountEvent {
    /// Somebody registered.
    Registered(Account),
    /// The account has another role.
    RoleChanged {
        /// Id of the account.
        id: Uuid,
        /// The role that it has now.
        role: Role,
    },
    /// The account was closed or opened again.
    StatusChanged {
        /// Id of the account.
        id: Uuid,
        /// Whether it is closed now.
        closed: bool,
        /// When that happened.
        at: OffsetDateTime,
    },
    /// The account was deleted for good.
    Deleted {
        /// Id of the account.
        id: Uuid,
    },
}
