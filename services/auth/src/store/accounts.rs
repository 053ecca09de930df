//! Accounts.

use async_trait::async_trait;
use quartet_kernel::{Deadline, Email, Role, Username};
use time::OffsetDateTime;
use uuid::Uuid;

use super::sessions::Ending;
use crate::Error;
use crate::domain::{Account, EndedSession, NewAccount, PasswordHash, Session, TokenHash};

/// A session to be opened, with its first refresh token.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// Its first refresh token.
    pub token_hash: TokenHash,
}

/// A change of what an account may do. One that takes something away ends the account's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// Another role.
    Role(Role),
    /// Barred, or no longer barred.
    Disabled(bool),
    /// Closed, or open again.
    Closed(bool),
}

/// Accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Opens an account, with its first session if there is one; a mail that proves the address is asked for in `language`.
    ///
    /// Errors: [`Error::UsernameTaken`], [`Error::EmailTaken`].
    async fn insert_account(
        &self,
        account: &NewAccount,
        session: Option<&NewSession>,
        language: &str,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// The account.
    async fn find_account(&self, id: Uuid, deadline: Deadline) -> Result<Option<Account>, Error>;

    /// The account of that user name.
    async fn find_account_by_username(&self, username: &str, deadline: Deadline) -> Result<Option<Account>, Error>;

    /// The account of that address; `email_key` is [`Email::key`].
    async fn find_account_by_email(&self, email_key: &str, deadline: Deadline) -> Result<Option<Account>, Error>;

    /// The accounts that have asked for that address and not proven it yet; `email_key` is [`Email::key`].
    async fn find_accounts_by_pending_email(&self, email_key: &str, deadline: Deadline) -> Result<Vec<Account>, Error>;

    /// Gives an account another name, and notes the address that it asks for. The account keeps its own until the other one is proven
    /// ([`verify_email`](super::MailRequests::verify_email)): mails that prove the one and warn the other are asked for in `language`. Another
    /// spelling of its own address is taken at once, and takes back what it asked for before.
    ///
    /// Errors: [`Error::UsernameTaken`], [`Error::EmailTaken`].
    async fn rename_account(
        &self,
        id: Uuid,
        username: Option<&Username>,
        email: Option<&Email>,
        language: &str,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Account>, Error>;

    /// Changes what an account may do; tells the account after the change and the sessions that ended with it.
    ///
    /// Errors: [`Error::LastSuperuser`].
    async fn change_account(
        &self,
        id: Uuid,
        change: AccountChange,
        ending: Ending,
        deadline: Deadline,
    ) -> Result<Option<(Account, Vec<EndedSession>)>, Error>;

    /// Deletes an account and all it owns; tells the sessions that ended with it.
    ///
    /// Errors: [`Error::LastSuperuser`].
    async fn purge_account(&self, id: Uuid, ending: Ending, deadline: Deadline) -> Result<Vec<EndedSession>, Error>;

    /// Notes the tier that users told.
    async fn set_tier(&self, id: Uuid, tier: Option<&str>, deadline: Deadline) -> Result<(), Error>;

    /// Keeps the same password under another hash, unless the password has changed since `old` was read.
    async fn rehash_password(
        &self,
        id: Uuid,
        old: &PasswordHash,
        new: &PasswordHash,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// Sets another password, unless it has changed since `old` was read; voids the tokens that would reset it, takes back an address
    /// that is yet to be proven, since whoever asked for it may be who the password is changed for, and ends every session but `keep`.
    async fn change_password(
        &self,
        id: Uuid,
        old: &PasswordHash,
        new: &PasswordHash,
        keep: Option<Uuid>,
        ending: Ending,
        deadline: Deadline,
    ) -> Result<Option<Vec<EndedSession>>, Error>;
}
