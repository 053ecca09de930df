//! An account: somebody who can sign in.

use quartet_kernel::{Email, Etag, Role, Username};
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
    /// Whether the address is the account's. One that was registered with the address of another
    /// account only claims it: nobody but that one's owner learns of it.
    pub holds_email: bool,
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

impl Account {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            id,
            username,
            email,
            holds_email: _,
            email_verified,
            // A claim would differ from an account that holds its address.
            pending_email: _,
            name,
            role,
            disabled,
            closed,
            created_at,
            updated_at,
            password_hash: _,
            tier: _,
        } = self;
        Etag::of(&(
            id,
            username,
            email,
            email_verified,
            self.requested_email(),
            name,
            role,
            disabled,
            closed,
            created_at,
            updated_at,
        ))
    }
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
    /// The account that has the address, if one does: this one only claims it.
    pub claimed_from: Option<Uuid>,
    /// Whether the address is proven already.
    pub email_verified: bool,
    /// The name shown to others; empty for the user name.
    pub name: String,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// What the account may do.
    pub role: Role,
}

impl NewAccount {
    /// What the address is unique by. A claim is unique by what is no address.
    pub fn email_key(&self) -> String {
        match self.claimed_from {
            Some(_) => self.id.to_string(),
            None => self.email.key(),
        }
    }

    /// A claimed address is the account's once it is proven, if it is free by then.
    pub fn pending_email(&self) -> Option<String> {
        self.claimed_from.map(|_| self.email.as_str().to_owned())
    }
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
            pending_email: new.pending_email(),
            holds_email: new.claimed_from.is_none(),
            email: new.email.as_str().to_owned(),
            email_verified: new.email_verified,
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

    /// The address that was requested in place of the one that the account shows.
    pub fn requested_email(&self) -> Option<&str> {
        let pending = self.pending_email.as_deref();
        // A claim looks like an address that is yet to be proven.
        pending.filter(|pending| pending.to_lowercase() != self.email.to_lowercase())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_the_version_of_an_account_that_holds_its_address() {
        let opened = |claimed_from| {
            let new = NewAccount {
                id: Uuid::from_u128(1),
                username: Username::parse("ann").unwrap(),
                email: Email::parse("Ann@example.org").unwrap(),
                claimed_from,
                email_verified: false,
                name: String::new(),
                password_hash: PasswordHash::stored("hash".into()),
                role: Role::User,
            };
            Account::opened(new, OffsetDateTime::UNIX_EPOCH)
        };
        let (own, mut claim) = (opened(None), opened(Some(Uuid::from_u128(2))));
        assert!(own.pending_email.is_none() && claim.pending_email.is_some());
        assert_eq!(own.etag(), claim.etag());
        claim.pending_email = Some("other@example.org".into());
        assert_ne!(own.etag(), claim.etag(), "a request for another address is a change");
    }
}
