//! Mails: requests for them, and the tokens that they carry.

use async_trait::async_trait;
use quartet_store::Context;
use time::OffsetDateTime;

use crate::Error;
use crate::domain::{Account, EndedSession, MailKey, MailRequest, MailToken, PasswordHash, Purpose, TokenHash};
use quartet_kernel::Language;

/// What is in a mail.
#[derive(Debug, Clone)]
pub struct IssuedMail {
    /// Whom it goes to.
    pub account: Account,
    /// The address.
    pub to: String,
    /// The token that it carries; a notice does not show it.
    pub token: MailToken,
    /// Until when the token works.
    pub expires_at: OffsetDateTime,
}

/// An account whose address was proven.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The account after it.
    pub account: Account,
    /// Whether the address took the place of another one.
    pub moved: bool,
}

/// Mails: requests for them, and the tokens that they carry.
#[async_trait]
pub trait Mails: Send + Sync {
    /// Requests mails in this language: publishes an event for each.
    async fn request_mails(&self, requests: &[MailRequest], language: Language, cx: &Context) -> Result<(), Error>;

    /// Draws the token of a requested mail; `None` when there is nothing to send any more. The same
    /// request gets the same token while that works.
    async fn issue_mail(&self, request: &MailRequest, key: &MailKey, cx: &Context)
    -> Result<Option<IssuedMail>, Error>;

    /// The account that a token from a mail speaks for, while the token works.
    async fn find_mail_token(&self, token: TokenHash, purpose: Purpose, cx: &Context)
    -> Result<Option<Account>, Error>;

    /// Uses up a token: sets the password, voids the account's other reset tokens, takes back an
    /// address that is yet to be proven, forgets the failed logins, and ends every session. An address
    /// that was never proven is by this, and removes a second factor that was enrolled before. `None`
    /// when the token does not work. The language is that of mails that follow from it.
    async fn reset_password(
        &self,
        token: TokenHash,
        new: &PasswordHash,
        language: Language,
        cx: &Context,
    ) -> Result<Option<Vec<EndedSession>>, Error>;

    /// Uses up a token: marks the address as proven, or gives the account the address that was
    /// requested for it. A mail that undoes this is then requested for the old one, in this language,
    /// if that was proven. `None` when the token does not work.
    ///
    /// Errors: [`Error::EmailTaken`] when somebody else has proven the address meanwhile.
    async fn verify_email(&self, token: TokenHash, language: Language, cx: &Context) -> Result<Option<Proven>, Error>;

    /// Uses up a token: gives the account its old address back, and ends every session. `None` when
    /// the token does not work.
    ///
    /// Errors: [`Error::EmailTaken`] when somebody else has proven the address meanwhile.
    async fn undo_email_change(&self, token: TokenHash, cx: &Context) -> Result<Option<Account>, Error>;
}
