//! Mails: what they are for ([`Mail`]), who carries them ([`Mailer`]), and the one who makes them of requests ([`Postman`]).

mod jobs;
mod postman;

use async_trait::async_trait;
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

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

impl Language {
    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// The language that `Accept-Language` (RFC 9110 §12.5.4) prefers among ours; English when it names none of them.
    pub fn preferred(accept_language: &str) -> Self {
        let weighed = accept_language.split(',').filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = match parameters.trim().strip_prefix("q=") {
                Some(weight) => weight.trim().parse::<f32>().ok()?,
                None => 1.0,
            };
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let language = match primary.as_str() {
                "en" | "*" => Self::English,
                "ru" => Self::Russian,
                _ => return None,
            };
            (weight > 0.0).then_some((weight, language))
        });
        // The first of equals, as it was written.
        let best = weighed.fold(None, |best: Option<(f32, Self)>, (weight, language)| match best {
            Some((top, _)) if top >= weight => best,
            _ => Some((weight, language)),
        });
        best.map_or(Self::English, |(_, language)| language)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_language_that_we_have_is_preferred() {
        for (header, language) in [
            ("", Language::English),
            ("ru", Language::Russian),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("de, en;q=0.5, ru;q=0.7", Language::Russian),
            ("en;q=0.5, ru;q=0.5", Language::English),
            ("ru;q=0", Language::English),
            ("fr, de", Language::English),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }
}
