//! Mails for tests.

use quartet_kernel::Language;
use time::macros::datetime;
use uuid::Uuid;

use super::{Content, Mail, SecretLink};

/// The link of every sample that has one.
pub(super) const LINK: &str = "https://example.com/page?token=abc";

/// A mail to Ann.
pub(super) fn mail(language: Language, content: Content) -> Mail {
    Mail {
        id: Uuid::from_u128(5),
        date: datetime!(2026-01-01 12:00 UTC),
        to: "ann@example.com".into(),
        name: "Ann".into(),
        language,
        content,
    }
}

/// Every mail that there is, with and without the parts that may be absent.
pub(super) fn all(language: Language) -> Vec<Mail> {
    let link = |token: &str| SecretLink {
        url: LINK.into(),
        token: token.into(),
        expires_at: Some(datetime!(2026-01-02 08:30 UTC)),
    };
    let reminder = |due_at| Content::Reminder {
        title: "Купить молоко / Buy milk".into(),
        due_at,
    };
    let contents = [
        Content::Welcome,
        Content::Verify(link("")),
        Content::Verify(link("abc")),
        Content::Reset(link("")),
        Content::Reset(link("abc")),
        Content::AddressChange(link("")),
        Content::AddressChange(link("abc")),
        Content::AddressChangeUndo(link("")),
        Content::AddressChangeUndo(link("abc")),
        Content::AddressChangeNotice,
        Content::AddressTaken,
        Content::WebhooksPaused,
        reminder(None),
        reminder(Some(datetime!(2026-01-02 08:30 UTC))),
    ];
    contents.into_iter().map(|content| mail(language, content)).collect()
}
