//! A mail as the texts that it shows, and the two layouts that show them.

use askama::Template;
use quartet_kernel::Language;
use time::OffsetDateTime;
use time::macros::format_description;

use super::catalog::{self, MissingText};
use super::{Content, Mail, SecretLink};

/// The texts of a mail, from top to bottom. Every layout shows all of them.
#[derive(Debug)]
pub(super) struct Page {
    /// The tag of the language of the texts.
    language: &'static str,
    /// The name without anything that breaks a line; empty when nothing is left.
    pub(super) name: String,
    pub(super) subject: String,
    greeting: String,
    lead: String,
    quote: Option<String>,
    link: Option<Link>,
    note: Option<String>,
}

#[derive(Debug)]
struct Link {
    url: String,
    /// What it does, on its button.
    action: String,
    validity: String,
    /// Stands before the URL where that is shown for copying.
    address_label: String,
    token: Option<Token>,
}

#[derive(Debug)]
struct Token {
    label: String,
    value: String,
}

/// What is escaped follows from the name of the file: HTML is, plain text is not.
#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    page: &'a Page,
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct Plain<'a> {
    page: &'a Page,
}

impl Page {
    /// The page of a mail.
    pub(super) fn of(mail: &Mail) -> Result<Self, MissingText> {
        let (id, link, title, due_at) = match &mail.content {
            Content::Welcome => ("welcome", None, None, None),
            Content::Verify(link) => ("verify", Some(link), None, None),
            Content::Reset(link) => ("reset", Some(link), None, None),
            Content::AddressChange(link) => ("address-change", Some(link), None, None),
            Content::AddressChangeUndo(link) => ("address-change-undo", Some(link), None, None),
            Content::AddressChangeNotice => ("address-change-notice", None, None, None),
            Content::AddressTaken => ("address-taken", None, None, None),
            Content::WebhooksPaused => ("webhooks-paused", None, None, None),
            Content::Reminder { title, due_at } => ("reminder", None, Some(one_line(title)), date(*due_at)),
        };
        let text = |key: &str, variables: &[(&str, &str)]| catalog::text(mail.language, key, variables);
        let name = one_line(&mail.name);
        Ok(Self {
            language: mail.language.tag(),
            subject: text(
                &format!("{id}.subject"),
                &[("title", title.as_deref().unwrap_or_default())],
            )?,
            greeting: match name.as_str() {
                "" => text("greeting", &[])?,
                name => text("greeting-named", &[("name", name)])?,
            },
            lead: match due_at {
                Some(date) => text(&format!("{id}.lead-dated"), &[("date", &date)])?,
                None => text(&format!("{id}.lead"), &[])?,
            },
            quote: title,
            link: link.map(|link| Link::of(mail.language, id, link)).transpose()?,
            note: catalog::find(mail.language, &format!("{id}.note"), &[])?,
            name,
        })
    }

    /// The page as HTML: complete in itself, without scripts and without anything to load.
    pub(super) fn html(&self) -> askama::Result<String> {
        Html { page: self }.render()
    }

    /// The page as plain text.
    pub(super) fn plain(&self) -> askama::Result<String> {
        // The last line break of a template is dropped.
        Ok(Plain { page: self }.render()? + "\n")
    }
}

impl Link {
    fn of(language: Language, id: &str, link: &SecretLink) -> Result<Self, MissingText> {
        let text = |key: &str, variables: &[(&str, &str)]| catalog::text(language, key, variables);
        Ok(Self {
            url: one_line(&link.url),
            action: text(&format!("{id}.action"), &[])?,
            validity: match date(link.expires_at) {
                Some(date) => text("link-once-until", &[("date", &date)])?,
                None => text("link-once", &[])?,
            },
            address_label: text("link-address", &[])?,
            token: match one_line(&link.token) {
                value if value.is_empty() => None,
                value => Some(Token {
                    label: text("token", &[])?,
                    value,
                }),
            },
        })
    }
}

fn date(timestamp: Option<OffsetDateTime>) -> Option<String> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    timestamp?.to_offset(time::UtcOffset::UTC).format(format).ok()
}

/// A text from outside as one line that leaves the text around it alone: what breaks lines becomes
/// a blank, and characters that set the direction of writing (Unicode UAX #9) go, since they would
/// reorder what follows.
///
/// What comes with an event, or from an older version, has passed no check of this one.
fn one_line(text: &str) -> String {
    let sets_direction =
        |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.replace(sets_direction, "")
        .replace(breaks_line, " ")
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::mail::samples::{self, LINK};

    /// A hostile text in every place that a user fills.
    fn filled(text: &str, language: Language) -> Vec<Mail> {
        let mut mails = samples::all(language);
        for mail in &mut mails {
            mail.name = text.to_owned();
            if let Content::Reminder { title, .. } = &mut mail.content {
                *title = text.to_owned();
            }
        }
        mails
    }

    #[test]
    fn every_mail_greets_by_name_and_shows_all_its_texts_in_both_layouts() {
        for (language, greeting, validity) in [
            (
                Language::English,
                "Hello Ann,",
                "The link works once, until 2026-01-02 08:30 UTC.",
            ),
            (
                Language::Russian,
                "Здравствуйте, Ann!",
                "Ссылка действует один раз, до 2026-01-02 08:30 UTC.",
            ),
        ] {
            for mail in samples::all(language) {
                let page = Page::of(&mail).unwrap();
                let (html, plain) = (page.html().unwrap(), page.plain().unwrap());
                assert!(plain.starts_with(&format!("{greeting}\n\n")), "{plain}");
                assert!(html.contains(&format!("<html lang=\"{}\">", language.tag())), "{html}");
                assert!(html.contains(&format!("<title>{}</title>", page.subject)), "{html}");
                let texts = [
                    Some(&page.greeting),
                    Some(&page.lead),
                    page.quote.as_ref(),
                    page.note.as_ref(),
                ];
                for text in texts.into_iter().flatten() {
                    assert!(html.contains(text) && plain.contains(text), "{text}: {html}\n{plain}");
                }
                if let Some(link) = &page.link {
                    assert_eq!(link.validity, validity);
                    assert!(html.contains(validity) && plain.contains(validity), "{html}\n{plain}");
                    assert_eq!(html.matches(&format!("<a href=\"{LINK}\"")).count(), 2, "{html}");
                    assert!(html.contains(&format!(">{}</a>", link.action)), "{html}");
                    assert!(plain.contains(&format!("\n\n{LINK}\n\n")), "{plain}");
                    let token = link.token.as_ref().map_or("", |token| &token.value);
                    assert_eq!(html.contains("<code"), !token.is_empty(), "{html}");
                    assert_eq!(plain.contains(": abc\n"), !token.is_empty(), "{plain}");
                }
            }
        }
    }

    #[test]
    fn the_plain_text_of_a_mail_is_laid_out_in_paragraphs() {
        let link = SecretLink {
            url: LINK.into(),
            token: "abc".into(),
            expires_at: None,
        };
        let plain = |content| {
            Page::of(&samples::mail(Language::English, content))
                .unwrap()
                .plain()
                .unwrap()
        };
        assert_eq!(
            plain(Content::Verify(link)),
            "Hello Ann,\n\nPlease confirm that this address is yours.\n\nhttps://example.com/page?token=abc\n\n\
             The link works once.\n\nThe token, for applications that ask for it: abc\n\n\
             If you have no account with us, do nothing.\n"
        );
        let reminder = Content::Reminder {
            title: "Water the plants".into(),
            due_at: Some(datetime!(2026-01-02 08:30 UTC)),
        };
        assert_eq!(
            plain(reminder),
            "Hello Ann,\n\nThis is due soon, on 2026-01-02 08:30 UTC:\n\n    Water the plants\n"
        );
    }

    #[test]
    fn no_two_mails_are_the_same_in_any_language() {
        let pages = Language::ALL.into_iter().flat_map(samples::all);
        let mut texts: Vec<_> = pages.map(|mail| Page::of(&mail).unwrap().plain().unwrap()).collect();
        let count = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }

    #[test]
    fn html_loads_nothing_and_runs_nothing() {
        for mail in Language::ALL.into_iter().flat_map(samples::all) {
            let html = Page::of(&mail).unwrap().html().unwrap();
            let addresses = html.matches("://").count();
            assert_eq!(addresses, html.matches(LINK).count(), "{html}");
            for wrong in [
                "src=", "<script", "<link", "<style", "<img", "<iframe", "url(", "@import",
            ] {
                assert!(!html.contains(wrong), "{wrong}: {html}");
            }
            // No handler of an event, such as `onclick=`.
            let mut words = html.split(char::is_whitespace);
            assert!(
                !words.any(|word| word.starts_with("on") && word.contains('=')),
                "{html}"
            );
        }
    }

    #[test]
    fn no_text_of_a_user_becomes_markup() {
        for hostile in [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' onmouseover='alert(1)",
            "</title></head><body>",
            "&lt;b&gt;",
            "{{ page.subject }} {% endif %} { $name }",
        ] {
            for language in Language::ALL {
                for (mail, plain) in filled(hostile, language).into_iter().zip(samples::all(language)) {
                    let tags = |mail: &Mail| {
                        let html = Page::of(mail).unwrap().html().unwrap();
                        html.matches(['<', '>', '"']).map(str::to_owned).collect::<Vec<_>>()
                    };
                    assert_eq!(tags(&mail), tags(&plain), "{hostile}");
                    let html = Page::of(&mail).unwrap().html().unwrap();
                    assert!(
                        !html.contains(hostile) || !hostile.contains(['<', '>', '&', '"', '\'']),
                        "{html}"
                    );
                    // Plain text has no markup, so it shows the name as it is.
                    assert!(Page::of(&mail).unwrap().plain().unwrap().contains(hostile));
                }
            }
        }
    }

    #[test]
    fn a_link_cannot_leave_its_attribute() {
        let link = SecretLink {
            url: "https://example.com/?a=1&b=\"><b>".into(),
            token: "<i>".into(),
            expires_at: None,
        };
        let html = Page::of(&samples::mail(Language::English, Content::Reset(link)))
            .unwrap()
            .html()
            .unwrap();
        assert!(!html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert!(
            html.contains("href=\"https://example.com/?a=1&#38;b=&#34;&#62;&#60;b&#62;\""),
            "{html}"
        );
    }

    #[test]
    fn a_text_from_outside_is_one_line_that_keeps_the_direction_of_writing() {
        assert_eq!(one_line(" Ann\r\nBcc: eve\u{2028}\u{85}x\0 "), "Ann  Bcc: eve  x");
        assert_eq!(one_line("\u{202e}nnA\u{2066} \u{200f}Lee\u{2069}"), "nnA Lee");
        assert_eq!(one_line("אנה"), "אנה");
        for mail in filled("\u{202e}evil\r\n\r\nsecond", Language::English) {
            let page = Page::of(&mail).unwrap();
            for text in [page.subject.clone(), page.html().unwrap(), page.plain().unwrap()] {
                assert!(
                    !text.contains(['\u{202e}', '\r']) && !text.contains("\nsecond"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_name_of_nothing_that_shows_greets_nobody_by_name() {
        for name in ["", "\r\n\0", "\u{202e}\u{2066}"] {
            let mut mail = samples::mail(Language::English, Content::Welcome);
            mail.name = name.into();
            let page = Page::of(&mail).unwrap();
            assert_eq!((page.greeting.as_str(), page.name.as_str()), ("Hello,", ""), "{name:?}");
        }
    }
}
