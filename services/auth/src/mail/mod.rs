//! Mails: what they are for ([`Mail`]), who carries them ([`Mailer`]), and the one who makes them of requests ([`Postman`]).

mod jobs;
mod postman;

use async_trait::async_trait;
use quartet_kernel::Language;
use time::OffsetDateTime;

use crate::domain::{MailToken, Purpose};

pub use jobs::Jobs;
pub(crate) use postman::{Postman, languages};

/// A mail to one account.
#[derive(Debug, Clone)]
pub struct Mail {
    /// What it is for.
    pub purpose: Purpose,
    /// Whom it greets.
    pub name: String,
    /// Where it goes.
    pub to: String,
    /// The token that it carries; a notice says nothing of it.
    pub token: MailToken,
    /// Until when the token works.
    pub expires_at: OffsetDateTime,
    /// The language that it is written in.
    pub language: Language,
}

/// Carries mails. What it has taken it delivers; what it has not taken may come again, and is one mail however often it comes.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Takes a mail.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// A mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It may be taken another time.
    #[error("the mail was not taken for now: {0}")]
    Later(String),
    /// It never will.
    #[error("the mail will not be taken: {0}")]
    Never(String),
}
