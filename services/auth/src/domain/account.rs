//! An account: somebody who can sign in.

use quartet_kernel::{Email, Role, Username};
use time::OffsetDateTime;
use uuid::Uuid;

use super::PasswordHash;

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Also the id of the user.
    pub id: Uuid,
    /// Unique name.
    pub username: String,
    /// The address, as its owner writes it.
    pub email: String,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// The address that takes the place of `email` once it is proven.
    pub pending_email: Option<String>,
    /// The name given at registration, for a user that is yet to be made.
    pub name: String,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// What the account may do.
    pub role: Role,
    /// A superuser has barred it.
    pub disabled: bool,
    /// Its user was deleted.
    pub closed: bool,
    /// The tier that users last returned, for tokens that are made while users is away.
    pub tier: Option<String>,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// An account to be opened.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Also the id of the user.
    pub id: Uuid,
    /// Unique name.
    pub username: Username,
    /// Unique address.
    pub email: Email,
    /// Whether the address is proven already.
    pub email_verified: bool,
    /// The name shown to others; empty for the user name.
    pub name: String,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// What the account may do.
    pub role: Role,
}

/// Whether an account can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Active,
    /// A superuser has barred it.
    Disabled,
    /// Its user was deleted.
    Closed,
}

impl Account {
    /// The account that `new` opens at `now`.
    pub fn opened(new: NewAccount, now: OffsetDateTime) -> Self {
        Self {
            id: new.id,
            username: new.username.as_str().to_owned(),
            email: new.email.as_str().to_owned(),
            email_verified: new.email_verified,
            pending_email: None,
            name: new.name,
            password_hash: new.password_hash,
            role: new.role,
            disabled: false,
            closed: false,
            tier: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The name shown to others.
    pub fn name_or_username(&self) -> &str {
        match self.name.as_str() {
            "" => &self.username,
            name => name,
        }
    }

    /// Whether the account can sign in. Closing hides a bar and reopening shows it again.
    pub fn status(&self) -> Status {
        match (self.closed, self.disabled) {
            (true, _) => Status::Closed,
            (false, true) => Status::Disabled,
            (false, false) => Status::Active,
        }
    }
}
