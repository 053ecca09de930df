//! Mails: what they say ([`Mail`]), and who carries them ([`Carrier`]).

mod files;
mod message;
mod smtp;
mod texts;

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

pub use files::Files;
pub use smtp::{InvalidServer, Smtp};

/// One mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// What its `Message-ID` is made of: a mail that is sent again keeps it.
    pub id: Uuid,
    /// Its date, which it keeps as well.
    pub date: OffsetDateTime,
    /// Where it goes.
    pub to: String,
    /// Whom it greets; nobody by name when empty.
    pub name: String,
    /// The language that it is written in.
    pub language: Language,
    /// What it says.
    pub text: Text,
}

/// What a mail says.
#[derive(Debug, Clone)]
pub enum Text {
    /// Greets a new user.
    Welcome,
    /// Asks a user to prove an address.
    Verify {
        /// The link to follow.
        link: String,
        /// The token in it; empty when it is not to be told.
        token: String,
        /// Until when both count.
        until: Option<OffsetDateTime>,
    },
    /// Lets a user set a new password.
    Reset {
        /// The link to follow.
        link: String,
        /// The token in it; empty when it is not to be told.
        token: String,
        /// Until when both count.
        until: Option<OffsetDateTime>,
    },
    /// Asks a user to prove the address that is to take the place of their own.
    AddressChange {
        /// The link to follow.
        link: String,
        /// The token in it; empty when it is not to be told.
        token: String,
        /// Until when both count.
        until: Option<OffsetDateTime>,
    },
    /// Tells the owner of an address that their account has asked for another one.
    AddressChangeNotice,
    /// Reminds a user of a todo that is due.
    Reminder {
        /// What is to do.
        title: String,
        /// When it is due.
        due_at: Option<OffsetDateTime>,
    },
}

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

impl Language {
    /// The language of a tag (BCP 47), as `ru-RU`; English when it is none of ours.
    pub fn of(tag: &str) -> Self {
        match tag
            .split('-')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "ru" => Self::Russian,
            _ => Self::English,
        }
    }
}

/// Carries mails.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Sends a mail; its `Message-ID`.
    async fn send(&self, mail: &Mail) -> Result<String, SendError>;
}

/// A mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It may be taken another time.
    #[error("the mail was not taken for now: {0}")]
    Later(String),
    /// It never will.
    #[error("the mail will not be taken: {0}")]
    Never(String),
}
