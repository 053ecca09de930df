//! Mails: what they are ([`Mail`]), and what sends them ([`Transport`]).
//!
//! A mail is a page of texts (`page`) in its reader's language (`catalog`). Two layouts show
//! the page, as HTML and as plain text (`templates/`), and both are parts of one message
//! (`message`).

mod catalog;
mod file_transport;
mod message;
mod page;
#[cfg(test)]
mod samples;
mod smtp_transport;

use async_trait::async_trait;
use quartet_kernel::Failure;
use quartet_kernel::Language;
use time::OffsetDateTime;
use uuid::Uuid;

pub use file_transport::FileTransport;
pub use smtp_transport::{InvalidServer, SmtpTransport};

/// One mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its `Message-ID` is made of this: a mail that is sent again keeps it.
    pub id: Uuid,
    /// Its date, which it keeps as well.
    pub date: OffsetDateTime,
    /// The address that it is sent to.
    pub to: String,
    /// The name of its reader; empty for a greeting without a name.
    pub name: String,
    /// The language that it is written in.
    pub language: Language,
    /// What it is about.
    pub content: Content,
}

/// What a mail is about.
#[derive(Debug, Clone)]
pub enum Content {
    /// Welcomes a new user.
    Welcome,
    /// Lets a user prove that an address is theirs.
    Verify(SecretLink),
    /// Lets a user set a new password.
    Reset(SecretLink),
    /// Lets a user prove that the address that is to replace their current one is theirs.
    AddressChange(SecretLink),
    /// Lets the owner of the old address undo the change of an account's address.
    AddressChangeUndo(SecretLink),
    /// Warns the owner of an address that their account has requested another one.
    AddressChangeNotice,
    /// Warns the owner of an address that somebody has registered with it, or has requested it for
    /// another account.
    AddressTaken,
    /// A notice to an owner whose webhooks were switched off, since their password was reset.
    WebhooksPaused,
    /// Reminds a user of a todo that is due.
    Reminder {
        /// The todo's title.
        title: String,
        /// When it is due.
        due_at: Option<OffsetDateTime>,
    },
}

/// A link that acts for its reader, once.
#[derive(Debug, Clone)]
pub struct SecretLink {
    /// The URL.
    pub url: String,
    /// The token in it, for clients that read it from the mail; empty when it is not to be shown.
    pub token: String,
    /// When both expire.
    pub expires_at: Option<OffsetDateTime>,
}

/// Sends mails.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a mail; its `Message-ID`.
    async fn send(&self, mail: &Mail) -> Result<String, Failure>;
}
