//! A mail as a message (RFC 5322): the plain text and the HTML of its page, of which a mail program
//! shows the one that it prefers (`multipart/alternative`, RFC 2046 §5.1.4).

use lettre::Message;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use quartet_kernel::Failure;

use super::Mail;
use super::page::Page;

/// The message and its `Message-ID`.
pub(super) fn write(mail: &Mail, from: &Mailbox) -> Result<(Message, String), Failure> {
    let permanent = |error: &dyn std::error::Error| Failure::Permanent(error.to_string());
    let address = mail
        .to
        .parse()
        .map_err(|error| permanent(&error as &lettre::address::AddressError))?;
    let page = Page::of(mail).map_err(|error| permanent(&error))?;
    let plain = page.plain().map_err(|error| permanent(&error))?;
    let html = page.html().map_err(|error| permanent(&error))?;
    let name = Some(page.name).filter(|name| !name.is_empty());
    let id = format!("<{}@{}>", mail.id, from.email.domain());
    // Made of the id rather than drawn: a mail that is sent again is the same, byte for byte.
    // Whoever fills a mail with text does so before it has its id, so no text contains the
    // boundary.
    let parts = MultiPart::alternative()
        .boundary(format!("part-{}", mail.id.simple()))
        .singlepart(SinglePart::plain(plain))
        .singlepart(SinglePart::html(html));
    let message = Message::builder()
        .message_id(Some(id.clone()))
        .date(mail.date.into())
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(page.subject)
        .multipart(parts)
        .map_err(|error| permanent(&error))?;
    Ok((message, id))
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders};
    use quartet_kernel::Language;

    use super::*;
    use crate::mail::{Content, samples};

    /// A message as another program reads it.
    #[derive(Debug, PartialEq, Eq)]
    struct Read {
        headers: Vec<String>,
        to: (Option<String>, String),
        subject: String,
        parts: Vec<String>,
        plain: String,
        html: String,
    }

    fn read(mail: &Mail) -> Read {
        let from = "Quartet <no-reply@quartet.example>".parse().unwrap();
        let bytes = write(mail, &from).unwrap().0.formatted();
        let message = MessageParser::default().parse(&bytes).unwrap();
        let to: Vec<_> = message.to().unwrap().iter().collect();
        assert_eq!(to.len(), 1, "{to:?}");
        let kind = |part: &mail_parser::MessagePart<'_>| {
            let kind = part.content_type().unwrap();
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap())
        };
        Read {
            headers: message
                .headers()
                .iter()
                .map(|header| header.name().to_owned())
                .collect(),
            to: (to[0].name().map(str::to_owned), to[0].address().unwrap().to_owned()),
            subject: message.subject().unwrap().to_owned(),
            parts: message.parts.iter().map(kind).collect(),
            plain: message.body_text(0).unwrap().into_owned(),
            html: message.body_html(0).unwrap().into_owned(),
        }
    }

    #[test]
    fn every_mail_reads_back_as_its_page_in_both_parts() {
        for mail in Language::ALL.into_iter().flat_map(samples::all) {
            let page = Page::of(&mail).unwrap();
            let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
            let read = read(&mail);
            assert_eq!(read.parts, ["multipart/alternative", "text/plain", "text/html"]);
            assert_eq!(read.to, (Some("Ann".to_owned()), "ann@example.com".to_owned()));
            assert_eq!(read.subject, page.subject);
            assert_eq!(lines(read.plain), lines(page.plain().unwrap()));
            assert_eq!(lines(read.html), lines(page.html().unwrap()));
        }
    }

    #[test]
    fn no_name_breaks_the_mail() {
        let expected = read(&samples::mail(Language::English, Content::Welcome));
        let controls = (0..=0x9f).filter_map(char::from_u32).filter(|c| c.is_control());
        let controls = controls.chain(['\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{200f}']);
        let mut names: Vec<String> = controls
            .flat_map(|c| {
                [
                    format!("Ann{c}Lee"),
                    format!("{c}Ann Lee{c}"),
                    format!("Анна{c}Bcc: eve@example.com"),
                    format!("Ann{c}{c}--part-00000000000000000000000000000006{c}{c}<script>"),
                ]
            })
            .collect();
        names.extend(
            [
                "\\",
                "\"",
                "\"<eve@example.com>, ",
                "<eve@example.com>",
                "=?utf-8?b?QQ==?=",
                "--",
            ]
            .map(str::to_owned),
        );
        names.extend(["й", "x", "\r\n ", "=", "\""].map(|c| c.repeat(100)));
        for name in names {
            let mut mail = samples::mail(Language::English, Content::Welcome);
            mail.name.clone_from(&name);
            let read = read(&mail);
            assert_eq!(read.headers, expected.headers, "{name:?}");
            assert_eq!(read.parts, expected.parts, "{name:?}");
            assert_eq!(read.to.1, "ann@example.com", "{name:?}");
            assert_eq!(read.subject, expected.subject, "{name:?}");
            assert_eq!(
                read.plain.lines().count(),
                expected.plain.lines().count(),
                "{name:?}: {}",
                read.plain
            );
            assert_eq!(
                read.html.lines().count(),
                expected.html.lines().count(),
                "{name:?}: {}",
                read.html
            );
            assert!(!read.html.contains("<script"), "{name:?}: {}", read.html);
        }
    }

    #[test]
    fn no_title_breaks_the_subject() {
        for title in [
            "Milk\r\nBcc: eve@example.com",
            "\u{202e}Milk",
            "a\u{2028}b",
            &"й".repeat(100),
        ] {
            let title = title.to_owned();
            let read = read(&samples::mail(
                Language::Russian,
                Content::Reminder { title, due_at: None },
            ));
            assert!(read.subject.starts_with("Скоро срок: "), "{read:?}");
            assert!(!read.subject.contains(['\r', '\n', '\u{202e}']), "{read:?}");
            assert!(
                !read.headers.iter().any(|name| name.eq_ignore_ascii_case("bcc")),
                "{read:?}"
            );
        }
    }
}
