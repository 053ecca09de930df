//! Mails that were asked for, and the tokens that they carry.

use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use super::sessions::Ending;
use crate::Error;
use crate::domain::{Account, EndedSession, PasswordHash, Purpose, TokenHash};

/// A mail that was asked for, for an address that may or may not have an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRequest {
    /// What for.
    pub purpose: Purpose,
    /// The address, as [`quartet_kernel::Email::key`].
    pub email_key: String,
    /// The languages that the one who asked prefers, as `Accept-Language`.
    pub language: String,
}

/// An account whose address was proven.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The account after it.
    pub account: Account,
    /// Whether the address took the place of another one.
    pub moved: bool,
}

/// Mails that were asked for, and their tokens.
#[async_trait]
pub trait MailRequests: Send + Sync {
    /// Notes that a mail was asked for; one that waits already is enough.
    async fn request_mail(&self, request: &MailRequest, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error>;

    /// Takes a waiting request for `lease`, after which somebody else may take it.
    async fn claim_mail(
        &self,
        now: OffsetDateTime,
        lease: Duration,
        deadline: Deadline,
    ) -> Result<Option<MailRequest>, Error>;

    /// Whether a mail as the one asked for was sent to the account after `since`.
    async fn was_mailed(
        &self,
        account_id: Uuid,
        request: &MailRequest,
        since: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<bool, Error>;

    /// Keeps the token of a mail that is about to be sent.
    async fn insert_mail_token(
        &self,
        token: TokenHash,
        account_id: Uuid,
        request: &MailRequest,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// Notes that the request is done, and the tokens whose mails were sent.
    async fn finish_mail(
        &self,
        request: &MailRequest,
        sent: &[TokenHash],
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// The account that a token from a mail speaks for, while the token works.
    async fn find_mail_token(
        &self,
        token: TokenHash,
        purpose: Purpose,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Account>, Error>;

    /// Uses up a token: sets the password, voids the account's other reset tokens, takes back an address that is yet to be proven, and
    /// ends every session. `None` when the token does not work.
    async fn reset_password(
        &self,
        token: TokenHash,
        new: &PasswordHash,
        ending: Ending,
        deadline: Deadline,
    ) -> Result<Option<Vec<EndedSession>>, Error>;

    /// Uses up a token: marks the address as proven, or gives the account the address that it asked for. `None` when the token does not work.
    ///
    /// Errors: [`Error::EmailTaken`] when somebody else has proven the address meanwhile.
    async fn verify_email(
        &self,
        token: TokenHash,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Proven>, Error>;
}
