//! A mail as a message (RFC 5322).

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;

use super::{Mail, SendError, texts};

/// The message and its `Message-ID`.
pub(super) fn write(mail: &Mail, from: &Mailbox) -> Result<(Message, String), SendError> {
    let never = |error: &dyn std::error::Error| SendError::Never(error.to_string());
    let address = mail
        .to
        .parse()
        .map_err(|error| never(&error as &lettre::address::AddressError))?;
    // What comes with an event or from an older version has passed no check here, and lettre sends no mail whose name breaks the header.
    let mail = &Mail {
        name: one_line(&mail.name),
        ..mail.clone()
    };
    let name = Some(mail.name.clone()).filter(|name| !name.is_empty());
    let id = format!("<{}@{}>", mail.id, from.email.domain());
    let message = Message::builder()
        .message_id(Some(id.clone()))
        .date(mail.date.into())
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(one_line(&texts::subject(mail)))
        .header(ContentType::TEXT_PLAIN)
        .body(texts::body(mail))
        .map_err(|error| never(&error))?;
    Ok((message, id))
}

/// A header is one line: what would break it is a blank.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::mail::{Language, Text};

    fn to(name: &str) -> String {
        let mail = Mail {
            id: Uuid::from_u128(5),
            date: datetime!(2026-01-01 12:00 UTC),
            to: "ann@example.com".into(),
            name: name.into(),
            language: Language::English,
            text: Text::Welcome,
        };
        let from = "Quartet <no-reply@quartet.example>".parse().unwrap();
        String::from_utf8(write(&mail, &from).unwrap().0.formatted()).unwrap()
    }

    #[test]
    fn no_name_breaks_the_mail() {
        let plain = to("Ann Lee").lines().count();
        let controls = (0..=0x9f).filter_map(char::from_u32).filter(|c| c.is_control());
        for c in controls {
            for name in [
                format!("Ann{c}Lee"),
                format!("{c}Ann Lee{c}"),
                format!("Анна{c}Bcc: eve@example.com"),
            ] {
                let text = to(&name);
                assert_eq!(text.lines().count(), plain, "{name:?}: {text}");
                assert!(
                    text.contains("<ann@example.com>") && !text.contains("\nBcc:"),
                    "{name:?}: {text}"
                );
            }
        }
        for name in [
            "a\u{2028}b",
            "\\",
            "\"",
            "<eve@example.com>",
            &"й".repeat(100),
            &"x".repeat(100),
        ] {
            assert!(to(name).contains("<ann@example.com>"), "{name:?}");
        }
    }

    #[test]
    fn a_name_of_nothing_that_shows_greets_nobody_by_name() {
        let text = to("\r\n\0");
        assert!(
            text.contains("To: ann@example.com\r\n") && text.contains("\r\n\r\nHello,\r\n"),
            "{text}"
        );
    }
}
