//! What the auth service tells of an account.

use quartet_kernel::{DisplayName, Email, Role, Username};
use time::OffsetDateTime;
use uuid::Uuid;

/// The fields of an account that its user shows.
#[derive(Debug, Clone)]
pub struct Account {
    /// Id of the account, and of its user.
    pub id: Uuid,
    /// Name to give the user when it is made; the user name when `None`. A user that is there keeps its own.
    pub name: Option<DisplayName>,
    /// The account's user name.
    pub username: Username,
    /// The account's address.
    pub email: Email,
    /// The account's role.
    pub role: Role,
    /// When the account last changed, if that is told.
    pub updated_at: Option<OffsetDateTime>,
}

impl Account {
    /// Name to give the user when it is made.
    pub fn first_name(&self) -> &str {
        self.name.as_ref().map_or(self.username.as_str(), DisplayName::as_str)
    }
}
