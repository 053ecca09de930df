//! Accounts.

use async_trait::async_trait;
use quartet_kernel::{Email, Role, Username};
use quartet_store::Context;
use uuid::Uuid;

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

/// A password that takes the place of another one, with a session that takes the place of the one of
/// the call.
#[derive(Debug)]
pub struct Replacement<'a> {
    /// The password that was proven.
    pub old: &'a PasswordHash,
    /// The password to set.
    pub new: &'a PasswordHash,
    /// The session of the call.
    pub session_id: Uuid,
    /// The session in its place. It ends when that one would have, and is as well proven.
    pub successor: NewSession,
    /// Whether the owner has proven who they are by the password alone.
    pub is_fresh_proof: bool,
}

/// Accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Opens an account, with its first session if there is one. A mail that proves the address is
    /// requested, in the language that `languages` (in the form of `Accept-Language`) prefer. Where
    /// the account claims an address, its owner is warned instead.
    ///
    /// Errors: [`Error::UsernameTaken`], [`Error::EmailTaken`].
    async fn insert_account(
        &self,
        account: &NewAccount,
        session: Option<&NewSession>,
        languages: &str,
        cx: &Context,
    ) -> Result<(), Error>;

    /// The account.
    async fn find_account(&self, id: Uuid, cx: &Context) -> Result<Option<Account>, Error>;

    /// The account of that user name.
    async fn find_account_by_username(&self, username: &str, cx: &Context) -> Result<Option<Account>, Error>;

    /// The accounts that have that user name or that address; `email_key` is [`Email::key`].
    async fn find_holders(&self, username: &str, email_key: &str, cx: &Context) -> Result<Vec<Account>, Error>;

    /// Gives an account another name, and records the address that is requested for it. The account
    /// keeps its own until the other one is proven ([`verify_email`](super::Mails::verify_email)):
    /// mails that prove the one and warn the other are requested, in the language that `languages`
    /// prefer. Another spelling of its own address is taken at once, and takes back what was
    /// requested before. With `hides`, an address that another account has is recorded alike, and its
    /// owner is warned in place of the mail that proves it.
    ///
    /// Errors: [`Error::UsernameTaken`], [`Error::EmailTaken`].
    async fn rename_account(
        &self,
        id: Uuid,
        username: Option<&Username>,
        email: Option<&Email>,
        hides: bool,
        languages: &str,
        cx: &Context,
    ) -> Result<Option<Account>, Error>;

    /// Changes what an account may do; returns the account after the change and the sessions that
    /// ended with it.
    ///
    /// Errors: [`Error::LastSuperuser`].
    async fn change_account(
        &self,
        id: Uuid,
        change: AccountChange,
        cx: &Context,
    ) -> Result<Option<(Account, Vec<EndedSession>)>, Error>;

    /// Deletes an account and all it owns; returns the sessions that ended with it.
    ///
    /// Errors: [`Error::LastSuperuser`].
    async fn purge_account(&self, id: Uuid, cx: &Context) -> Result<Vec<EndedSession>, Error>;

    /// Records the tier that users returned.
    async fn set_tier(&self, id: Uuid, tier: Option<&str>, cx: &Context) -> Result<(), Error>;

    /// Keeps the same password under another hash, unless the hash has changed since `old` was read:
    /// then the answer is no.
    async fn rehash_password(
        &self,
        id: Uuid,
        old: &PasswordHash,
        new: &PasswordHash,
        cx: &Context,
    ) -> Result<bool, Error>;

    /// Sets another password, unless it has changed since `old` was read. Voids the tokens that
    /// would reset it, takes back an address that is yet to be proven, since whoever requested it
    /// may be who the password is changed for, and ends every session but `keep`.
    async fn change_password(
        &self,
        id: Uuid,
        old: &PasswordHash,
        new: &PasswordHash,
        keep: Option<Uuid>,
        cx: &Context,
    ) -> Result<Option<Vec<EndedSession>>, Error>;

    /// Sets another password as [`change_password`](Self::change_password) does, and ends every session:
    /// the one of the call gets a successor, which is returned.
    ///
    /// Errors: [`Error::SessionNotFound`] when that one has ended.
    async fn replace_password(
        &self,
        id: Uuid,
        replacement: Replacement<'_>,
        cx: &Context,
    ) -> Result<Option<Session>, Error>;
}
